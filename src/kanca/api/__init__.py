"""The management API: one router per resource."""
