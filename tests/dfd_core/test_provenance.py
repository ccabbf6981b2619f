import json

import torch

from dfd_core.provenance import PACKAGES, provenance


def test_provenance_says_versions_and_facts():
    facts = provenance(seed=3)
    assert facts["seed"] == 3
    assert (
        facts["packages"]["torch"] == torch.__version__.split("+")[0] or facts["packages"]["torch"] == torch.__version__
    )
    assert set(facts["packages"]) == set(PACKAGES)
    assert all(facts["packages"].values())
    assert json.loads(json.dumps(facts)) == facts
