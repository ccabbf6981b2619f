import pytest
from pydantic import ValidationError

from dfd_core.classifiers import CLASSIFIERS, ClassifierSpec
from dfd_core.errors import UnknownNameError
from dfd_core.reducers import REDUCERS, ReducerSpec


def test_a_bare_name_is_enough_and_means_the_defaults():
    bare = ClassifierSpec.model_validate("logistic_regression")
    written_out = ClassifierSpec(name="logistic_regression", options={"C": 1.0, "max_iter": 5000})
    assert bare == written_out
    assert bare.content_hash() == written_out.content_hash()
    assert bare.label() == "logistic_regression"


def test_a_label_tells_what_is_not_default():
    assert ClassifierSpec(name="logistic_regression", options={"C": 0.1}).label() == "logistic_regression(C=0.1)"


@pytest.mark.parametrize(
    ("options", "message"),
    [({"c": 1}, "c: Extra inputs"), ({"C": 0}, "C: Input should be greater"), ({"C": float("inf")}, "finite")],
)
def test_options_are_checked_by_the_entry_and_the_message_lists_them(options, message):
    with pytest.raises(ValidationError, match=message) as caught:
        ClassifierSpec(name="logistic_regression", options=options)
    assert "Its options: C, max_iter" in str(caught.value)


def test_unknown_names_are_told_with_the_close_ones():
    with pytest.raises(UnknownNameError, match="Did you mean 'nearest_neighbour'"):
        ClassifierSpec.model_validate("nearest_neighbor")
    with pytest.raises(UnknownNameError, match="Did you mean 'pca'.*Known: autoencoder, none, pca, standardize"):
        ReducerSpec.model_validate("pca_typo")


@pytest.mark.parametrize(("spec", "registry"), [(ReducerSpec, REDUCERS), (ClassifierSpec, CLASSIFIERS)])
def test_every_entry_is_usable_by_its_bare_name(spec, registry):
    for name in registry:
        assert spec.model_validate(name).label() == name
        assert registry[name].title


def test_a_label_is_read_back():
    spec = ClassifierSpec.model_validate("logistic_regression(C=0.1, max_iter=20)")
    assert spec.options == {"C": 0.1, "max_iter": 20}
    assert ClassifierSpec.model_validate(spec.label()) == spec
    assert ClassifierSpec.model_validate("logistic_regression()").label() == "logistic_regression"


@pytest.mark.parametrize("label", ["logistic_regression(0.1)", "logistic_regression(C=1, C=2)"])
def test_a_label_that_makes_no_sense_is_refused(label):
    with pytest.raises(ValidationError, match="is not a name, or a name with options"):
        ClassifierSpec.model_validate(label)


def test_an_unclosed_label_is_an_unknown_name():
    with pytest.raises(UnknownNameError, match="no classifier named 'logistic_regression"):
        ClassifierSpec.model_validate("logistic_regression(C=1")
