"""The contract halves of migrations: what only older versions of Kanca need is taken away here.

Each is a migration like those in ``versions``, in a chain of its own, and names in ``needs`` the revision in
``versions`` that the first Kanca has which does without: as long as an older one runs, ``kanca migrate --contract``
refuses.
A Kanca that does not know the last of them that a database has had does not start on that database.
"""
