"""The audit as a step of a run, before extraction."""

import pytest


@pytest.fixture
def path(noise_images, tmp_path):
    """A configuration on reals that are JPEG and fakes that are PNG, which its audit does not put up with."""
    noise_images(tmp_path / "images", 24, {"cam/real": "jpg", "gan/fake": "png"})
    path = tmp_path / "run.yaml"
    path.write_text(
        "name: looked\nstore: store\ndatasets: [{name: mine, folders: images}]\naugmentations: [none]\n"
        "backbones: [spectrum]\naudit: {fail_on: error}\n"
    )
    return path


def test_a_finding_ends_the_run_before_extraction_or_is_a_table(engine, path):
    done = engine.dfd("extract", path)
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert "audit.fail_on is error: 1. mine/gan: shortcut." in done.stderr.splitlines()[-1]
    assert "audits/mine-" in done.stderr.splitlines()[-1]
    assert not (path.parent / "store" / "features").exists()
    here = engine.dfd("extract", path, "--local")
    assert here.returncode == 3
    assert here.stderr.splitlines()[-1] == done.stderr.splitlines()[-1]
    path.write_text(path.read_text().replace("{fail_on: error}", "{}"))
    done = engine.dfd("extract", path)
    assert done.returncode == 0, done.stderr
    assert "The audit has 1 findings, the worst: error" in done.stderr
    tables = [one for one in engine.post("artifacts/filter", limit=200) if one["key"] == "looked-audit"]
    assert len(tables) == 2
    assert all("mine/gan" in table["data"] and "index.html" in table["description"] for table in tables)
