import pandas as pd
import pytest
from pydantic import ValidationError

from dfd_core.errors import EvaluationError, UnknownNameError
from dfd_core.evaluation.protocols import (
    ProtocolSpec,
    TrainingSet,
    training_sets,
    untrainable,
)
from dfd_core.evaluation.samples import Samples


def test_each_generator_trains_with_its_own_reals_or_with_all(world):
    assert training_sets(Samples(world.frame), ProtocolSpec()) == [
        TrainingSet("cross_generator", "a", "ldm", (("a", "ldm"),), n_real=80, n_fake=40),
        TrainingSet("cross_generator", "a", "progan", (("a", "progan"),), n_real=40, n_fake=40),
        TrainingSet("cross_generator", "b", "glide", (("b", "glide"),), n_real=40, n_fake=40),
    ]


def test_the_validation_split_neither_trains_nor_tests(world):
    for split in ("train", "test"):
        assert set(Samples(world.frame).members((("a", "ldm"),), split).rows["split"]) == {split}


def test_a_file_that_stands_twice_counts_once(world):
    doubled = pd.concat([world.frame, world.frame.assign(path="copy/" + world.frame["path"])], ignore_index=True)
    assert training_sets(Samples(doubled), ProtocolSpec()) == training_sets(Samples(world.frame), ProtocolSpec())


def test_too_few_samples_train_nothing_and_are_listed(world):
    frame = world.frame
    few = frame[~((frame["generator"] == "ldm") & (frame["split"] == "train")) | (frame.index % 40 == 0)]
    (left_out,) = untrainable(Samples(few), ProtocolSpec())
    assert (left_out.generator, left_out.n_fake) == ("ldm", 1)
    assert left_out not in training_sets(Samples(few), ProtocolSpec())
    assert untrainable(Samples(few), ProtocolSpec(min_samples_per_class=1)) == []


def test_no_training_set_at_all_is_an_error(world):
    with pytest.raises(EvaluationError, match=r"a/ldm \(0 real, 0 fake\).*min_samples_per_class"):
        training_sets(Samples(world.frame[world.frame["split"] == "test"]), ProtocolSpec())


def test_datasets_without_test_rows_test_nothing(world):
    assert list(Samples(world.frame).tested) == [("a", "ldm"), ("a", "progan"), ("b", "glide")]
    only_a = world.frame[(world.frame["dataset"] == "a") | (world.frame["split"] == "train")]
    assert list(Samples(only_a).tested) == [("a", "ldm"), ("a", "progan")]


def test_augmentations_by_default_and_by_name():
    assert ProtocolSpec().choose_training({"blur", "none"}) == ("none",)
    assert ProtocolSpec().choose_training({"jpeg", "blur"}) == ("blur", "jpeg")
    assert ProtocolSpec().choose_testing({"none", "blur"}) == ("blur", "none")
    assert ProtocolSpec(train_augmentations=("blur",)).choose_training({"blur", "none"}) == ("blur",)
    with pytest.raises(UnknownNameError, match="no augmentation with features named 'blurr'"):
        ProtocolSpec(test_augmentations=("blurr",)).choose_testing({"blur", "none"})


@pytest.mark.parametrize("bad", [{"min_samples_per_class": 0}, {"test_augmentations": ()}, {"metrics": ("auroc",)}])
def test_a_protocol_that_makes_no_sense_is_refused(bad):
    with pytest.raises(ValidationError):
        ProtocolSpec.model_validate(bad)


def members(world, name):
    return {one.title: one.members for one in training_sets(Samples(world.frame), ProtocolSpec(train_on=(name,)))}


PROGAN, LDM, GLIDE = ("a", "progan"), ("a", "ldm"), ("b", "glide")


def test_what_each_protocol_trains_on(world):
    assert members(world, "in_distribution") == members(world, "cross_dataset")
    assert members(world, "cross_dataset") == {"a/all": (LDM, PROGAN), "b/glide": (GLIDE,)}
    assert members(world, "leave_one_generator_out") == {
        "a+b/all but ldm": (PROGAN, GLIDE),
        "a+b/all but progan": (LDM, GLIDE),
        "a/all but glide": (LDM, PROGAN),
    }
    assert members(world, "leave_one_family_out") == {
        "a/all but diffusion": (PROGAN,),
        "a+b/all but gan": (LDM, GLIDE),
    }


def test_generators_without_training_images_are_no_part_of_what_is_left(world):
    frame = world.frame
    rest = frame[~((frame["dataset"] == "b") & (frame["split"] == "train"))]
    (one,) = training_sets(Samples(rest), ProtocolSpec(train_on=("leave_one_family_out",)))[1:]
    assert one.members == (LDM,)


def test_matched_detectors_are_tested_on_matched_alone():
    both = ProtocolSpec(matched=True)
    names = {"none", "jpeg", "matched"}
    assert both.choose_training(names) == ("none", "matched")
    assert both.choose_testing(names, "matched") == ("matched",)
    assert both.choose_testing(names, "none") == ("jpeg", "none")
    with pytest.raises(UnknownNameError, match="matched"):
        both.choose_training({"none"})
