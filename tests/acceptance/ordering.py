"""An application that takes orders in transactions of its own, until it is killed: ``ordering.py URL RUN``.

It prints a line for every transaction that has ended. Which orders there are, only the table ``orders`` knows.
"""

from __future__ import annotations

import itertools
import random
import sys

from sqlalchemy import Column, MetaData, String, Table, create_engine, insert
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from kanca import Kanca

orders = Table("orders", MetaData(), Column("id", String(40), primary_key=True), mysql_engine="InnoDB")


def main(url: str, run: str) -> None:
    """Take orders for ever; every third is thought better of."""
    hooks, chance = Kanca(), random.Random(run)
    engine = create_engine(url)
    for number in itertools.count():
        with Session(engine) as session:
            identifier = f"{run}-{number}"
            try:
                session.execute(insert(orders).values(id=identifier))
                hooks.publish_sync("order.created", {"id": identifier}, connection=session)
                if chance.random() < 1 / 3:
                    session.rollback()
                else:
                    session.commit()
            except OperationalError:  # a file that others write, too
                session.rollback()
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
