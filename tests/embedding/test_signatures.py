"""The C signatures that other packages are compiled against stay as they were promised."""

import copy
import json
import re

import pytest
import signatures

from fasttrain import embedding

PROMISED = json.loads(signatures.SNAPSHOT.read_text())
HOW = "`make signatures` takes the present ones over, after what CONTRIBUTING.md says about the C interface"


def test_what_is_promised_is_so():
    now = signatures.found()
    assert list(signatures.broken(PROMISED["public"], now["public"])) == [], HOW
    assert now == PROMISED, HOW


def test_the_changelog_tells_of_the_version():
    assert PROMISED["version"] == embedding.INTERFACE_VERSION
    assert re.search(rf"C interface version {embedding.INTERFACE_VERSION}\b", signatures.CHANGELOG.read_text())


def test_every_public_module_has_signatures():
    functions = PROMISED["public"]["functions"]
    assert sum(len(each) for each in functions.values()) >= 25
    assert functions["updates"]["adam_step"][1].startswith("int (double *, const double *, double *, double *,")
    assert PROMISED["public"]["structs"]["ft_update"]["fields"][0] == "size_t size"
    assert PROMISED["public"]["structs"]["dense_shape"]["fields"][0] == "size_t size"
    assert any(each.startswith("void update_span(int kind,") for each in PROMISED["public"]["primitives"]["table"])


@pytest.mark.parametrize("change, path", [
    (lambda public: public["functions"]["updates"].pop("adam_step"), "public.functions.updates.adam_step"),
    (lambda public: public["functions"]["losses"]["loss_arrays"].reverse(), "public.functions.losses.loss_arrays"),
    (lambda public: public["structs"]["ft_update"].update(size=8), "public.structs.ft_update.size"),
    (lambda public: public["structs"]["ft_update"]["fields"].insert(1, "int x"), "public.structs.ft_update.fields"),
    (lambda public: public["primitives"]["table"].insert(0, "void f()"), "public.primitives.table"),
])
def test_a_change_is_seen_and_not_written_without_a_new_version(change, path, monkeypatch, tmp_path):
    changed = copy.deepcopy(PROMISED)
    change(changed["public"])
    assert list(signatures.broken(PROMISED["public"], changed["public"])) == [path]
    snapshot = tmp_path / "signatures.json"
    snapshot.write_text(json.dumps(PROMISED))
    changelog = tmp_path / "changes.md"
    monkeypatch.setattr(signatures, "SNAPSHOT", snapshot)
    monkeypatch.setattr(signatures, "CHANGELOG", changelog)
    monkeypatch.setattr(signatures, "found", lambda: changed)
    changelog.write_text("## 0.2.0 (unreleased)\n## 0.1.0\n- C interface version 1.\n")
    with pytest.raises(SystemExit, match=r"raise embedding\.INTERFACE_VERSION first"):
        signatures.write()
    assert json.loads(snapshot.read_text()) == PROMISED
    changed["version"] += 1
    signatures.write()
    assert json.loads(snapshot.read_text()) == changed


def test_until_its_release_a_version_may_change(monkeypatch, tmp_path):
    monkeypatch.setattr(signatures, "SNAPSHOT", tmp_path / "signatures.json")
    monkeypatch.setattr(signatures, "CHANGELOG", tmp_path / "changes.md")
    changed = copy.deepcopy(PROMISED)
    del changed["public"]["functions"]["updates"]
    signatures.SNAPSHOT.write_text(json.dumps(PROMISED))
    signatures.CHANGELOG.write_text("## 0.1.0 (unreleased)\n- C interface version 1.\n")
    monkeypatch.setattr(signatures, "found", lambda: changed)
    signatures.write()
    assert json.loads(signatures.SNAPSHOT.read_text()) == changed


def test_additions_break_nothing():
    added = copy.deepcopy(PROMISED["public"])
    added["functions"]["updates"]["another"] = "int (void)"
    added["primitives"]["table"].append("void another()")
    added["primitives"]["size"] += 8
    assert list(signatures.broken(PROMISED["public"], added)) == []
