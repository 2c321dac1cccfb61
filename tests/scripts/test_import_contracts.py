from __future__ import annotations

from grimp import ImportGraph

from scripts.import_contracts import StandardLibraryOnly


def check(*imports: tuple[str, str]) -> bool:
    """Whether the contract on ``kanca.domain`` is kept by these imports."""
    graph = ImportGraph()
    for module in {"kanca.domain", "kanca.domain.ids"} | {name for pair in imports for name in pair}:
        graph.add_module(module)
    for importer, imported in imports:
        graph.add_import(importer=importer, imported=imported)
    contract = StandardLibraryOnly(
        "domain", session_options={}, contract_options={"modules": ["kanca.domain"]}
    )
    return contract.check(graph, verbose=False).kept


def test_the_standard_library_and_the_module_itself_may_be_imported() -> None:
    assert check(("kanca.domain.ids", "uuid"), ("kanca.domain", "kanca.domain.ids"))


def test_another_distribution_may_not_be_imported() -> None:
    assert not check(("kanca.domain.ids", "pydantic"))


def test_another_part_of_the_project_may_not_be_imported() -> None:
    assert not check(("kanca.domain.ids", "kanca.settings"))
