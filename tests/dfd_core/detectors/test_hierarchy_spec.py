import pytest
from pydantic import ValidationError

from dfd_core.detectors.hierarchy_spec import LEVELS, UNKNOWN_BELOW, HierarchySpec, merged
from dfd_core.errors import EvaluationError

FAMILIES = {"progan": "gan", "glide_50": "diffusion", "glide_100": "diffusion", "ldm": "diffusion"}


def test_a_level_has_its_own_classifier_or_the_default():
    spec = HierarchySpec(
        name="h",
        default={"classifier": "nearest_neighbour"},
        levels={"family": {"reducer": "standardize", "classifier": {"name": "logistic_regression"}}},
    )
    assert spec.at("real").classifier.name == spec.at("generator").classifier.name == "nearest_neighbour"
    assert spec.at("family").reducer.name == "standardize"
    assert HierarchySpec.model_validate_json(spec.model_dump_json()) == spec


def test_a_threshold_holds_for_one_level_or_for_all():
    assert HierarchySpec(name="h").unknown_below == UNKNOWN_BELOW
    assert HierarchySpec(name="h", unknown_below=0.9).unknown_below == dict.fromkeys(LEVELS, "0.9")
    assert HierarchySpec(name="h", unknown_below={"family": "1pct"}).unknown_below == {
        **UNKNOWN_BELOW,
        "family": "1pct",
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"unknown_below": 1.1},
        {"unknown_below": {"family": -0.1}},
        {"unknown_below": {"kind": 0.5}},
        {"unknown_below": "many"},
        {"unknown_below": "0pct"},
        {"unknown_below": "100pct"},
        {"unknown_below": "nan"},
        {"unknown_below": True},
        {"levels": {"kind": {}}},
        {"merge": {"glide": []}},
        {"merge": {"glide": [""]}},
        {"merge": {"unknown": ["glide_*"]}},
        {"merge": {"": ["glide_*"]}},
    ],
)
def test_what_makes_no_sense_is_refused(fields):
    with pytest.raises(ValidationError):
        HierarchySpec(**({"name": "h"} | fields))


def test_generators_count_under_the_name_of_their_subfamily():
    names = merged({"glide": ("glide_*",)}, FAMILIES, trained=True)
    assert names == {"progan": "progan", "glide_50": "glide", "glide_100": "glide", "ldm": "ldm"}
    assert merged({"ldm": ("ldm", "glide_*")}, FAMILIES, trained=True)["glide_50"] == "ldm"
    assert merged({}, FAMILIES, trained=True) == {name: name for name in FAMILIES}


@pytest.mark.parametrize(
    ("merge", "message"),
    [
        ({"glide": ("glide_*", "glid3")}, "'glid3' .* matches no generator .* glide_100, glide_50, ldm, progan"),
        ({"odd": ("glide_*", "progan")}, r"generators of 2 families: glide_100 \(diffusion\), .* progan \(gan\)"),
        ({"ldm": ("glide_*",)}, "'ldm' has the name of a generator"),
        ({"a": ("glide_*",), "b": ("*_50",)}, "'glide_50' matches patterns of two subfamilies, 'a' and 'b'"),
    ],
)
def test_subfamilies_that_do_not_fit_the_generators_are_refused(merge, message):
    with pytest.raises(EvaluationError, match=message):
        merged(merge, FAMILIES, trained=True)


def test_in_a_test_a_pattern_may_match_nothing():
    assert merged({"glide": ("glide_*", "glid3")}, FAMILIES, trained=False)["glide_50"] == "glide"
