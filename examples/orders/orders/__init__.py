"""An order flow: a workflow from the checkout to the parcel, and what it talks to."""
