"""A contract for import-linter that it does not bring itself."""

from __future__ import annotations

import sys
from typing import cast

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class StandardLibraryOnly(Contract):
    """The named modules, and all below them, import each other and the standard library, and nothing else."""

    type_name = "standard_library_only"

    modules = fields.SetField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002  # import-linter's signature
        """Find every import that leaves the named modules for something that does not ship with Python."""
        names = cast(set[str], self.modules)  # import-linter puts the value in the field's place
        inside = {module for name in names for module in {name, *graph.find_descendants(name)}}
        allowed = inside | sys.stdlib_module_names
        strays = [
            (module, imported)
            for module in sorted(inside)
            for imported in sorted(graph.find_modules_directly_imported_by(module))
            if imported not in allowed
        ]
        return ContractCheck(kept=not strays, metadata={"strays": strays})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Name each stray import."""
        for module, imported in check.metadata["strays"]:
            output.print_error(f"{module} imports {imported}, which is not in the standard library")
