"""PostgreSQL: hot statements on asyncpg, everything else through SQLAlchemy."""
