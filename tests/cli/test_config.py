"""`syncd config` prints the JSON Schema, and `syncd init` names the packaged one."""

import json

from syncd.cli import init
from syncd.config import json_schema


def test_config_schema_prints_the_schema(syncd):
    result = syncd("config", "schema")
    assert (result.code, result.err) == (0, "")
    assert json.loads(result.out) == json_schema.document()


def test_config_schema_prints_the_packaged_schema(syncd, tmp_path, monkeypatch):
    (tmp_path / "schema.json").write_text('{"title": "packaged"}\n', encoding="utf-8")
    monkeypatch.setattr(json_schema, "PACKAGED", tmp_path / "schema.json")
    assert syncd("config", "schema").out == '{"title": "packaged"}\n'


def test_init_names_the_packaged_schema(syncd, tmp_path, monkeypatch):
    options = ["--folder", str(tmp_path), "--type", "image", "--url", "http://127.0.0.1:1"]
    assert syncd("init", str(tmp_path / "without.yaml"), *options).code == 0
    assert "$schema" not in (tmp_path / "without.yaml").read_text(encoding="utf-8")
    schema = tmp_path / "schema.json"
    schema.touch()
    monkeypatch.setattr(init, "PACKAGED", schema)
    assert syncd("init", str(tmp_path / "with.yaml"), *options).code == 0
    first = (tmp_path / "with.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert first == f"# yaml-language-server: $schema={schema.as_uri()}"
