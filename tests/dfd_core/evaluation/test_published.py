import pandas as pd
import pytest
from pydantic import ValidationError

from dfd_core.errors import UnknownNameError
from dfd_core.evaluation.published import BenchmarkSpec, benchmarks, beside, published, references


def results(**changes):
    row = {
        "train_generator": "progan", "test_dataset": "ufd", "test_generator": "cyclegan", "test_augmentation": "none",
        "metric": "accuracy", "threshold_policy": "0.5", "value": 0.9, "shuffled_labels": False,
    }  # fmt: skip
    return {**row, **changes}


def test_all_numbers_are_there_and_say_where_they_come_from():
    rows = [row for benchmark in benchmarks() for row in published(benchmark)]
    assert len(rows) == 561
    assert all(row.source and row.evidence and row.protocol and row.method for row in rows)
    assert not any(".txt" in row.source or "/" in row.source.replace("/14", "") for row in rows)


def test_numbers_are_found_by_any_of_their_names():
    (row,) = published("ufd-19", "cyclegan", method="unifd lc", metric="accuracy")
    assert (row.percent, row.value, row.generator) == (98.5, 0.985, "CycleGAN")
    assert published("UFD-19", "ldm_200_cfg") == published("UFD-19", "LDM 200 cfg") != ()
    assert published("UFD-19", "dalle") == published("UFD-19", "DALL-E mini") != ()
    assert published("UFD-19", "seeingdark") == published("UFD-19", "SITD") != ()
    for name in ("sdv4", "sd_v1.4", "stable_diffusion_v_1_4", "Stable Diffusion 1.4"):
        assert published("GenImage", name) == published("GenImage", "Stable Diffusion v1.4") != ()
    assert published("GenImage", "stable_diffusion") == ()
    assert published("GenImage", "dalle") == ()
    assert published("progan_transfer_1k", "glide_100_27", method="1-NN")[0].percent == 75.3
    with pytest.raises(UnknownNameError, match="Did you mean 'UFD-19'"):
        published("UFD-20")


def test_what_is_wrong_is_kept_as_wrong_and_never_stands_beside():
    rows = published("progan_transfer", "cyclegan", metric="accuracy")
    assert {row.method: (row.percent, row.wrong) for row in rows} == {
        "1-NN as published": (62.9, True), "1-NN correct": (83.7, False), "MLP": (98.1, False),
    }  # fmt: skip
    assert sum(row.wrong for row in published("progan_transfer")) == 3
    assert all(row.note.startswith("not an accuracy") for row in published("progan_transfer") if row.wrong)
    assert [one.label for one in references("progan_transfer")] == ["1-NN correct", "MLP"]


def test_a_method_with_two_sources_has_two_columns():
    labels = [one.label for one in references("GenImage") if one.method == "NPR"]
    assert labels == ["NPR (Effort (ICML 2025) Table 9)", "NPR (SynerDetect (AAAI 2026) Table 2)"]
    assert [len(references(name)) for name in benchmarks()] == [9, 12, 5, len(references("GenImage")), 2, 2, 1, 3, 1]
    assert all(len({one.column for one in references(name)}) == len(references(name)) for name in benchmarks())


def test_numbers_stand_beside_ours_only_where_everything_is_the_same():
    frame = pd.DataFrame(
        [
            results(),
            results(metric="average_precision", threshold_policy=None),
            results(test_generator="biggan"),
            results(train_generator="ldm"),
            results(train_generator="all but cyclegan"),
            results(threshold_policy="validation"),
            results(test_augmentation="jpeg_q75"),
            results(metric="auroc", threshold_policy=None),
            results(test_dataset="mine"),
            results(test_generator="cyclegan2"),
            results(shuffled_labels=True),
        ],
        index=[7, 3, 9, 1, 2, 0, 4, 5, 6, 8, 10],
    )
    spec = BenchmarkSpec(benchmark="UFD-19", methods=("UniFD-LC", "UniFD as quoted by later papers"))
    found = beside(frame, {"ufd": spec})
    assert found[list(frame)].equals(frame)
    assert list(found.columns[-2:]) == ["UFD-19: UniFD-LC", "UFD-19: UniFD as quoted by later papers"]
    own = found["UFD-19: UniFD-LC"]
    assert own.dropna().to_dict() == {7: 0.985, 9: 0.945}
    assert found["UFD-19: UniFD as quoted by later papers"].dropna().index.tolist() == [3]
    assert beside(frame, {}).equals(frame)


def test_our_corrected_accuracies_are_the_recomputed_ones():
    frame = pd.DataFrame([results(test_dataset=name, test_generator=name) for name in ("cyclegan", "biggan", "dalle")])
    spec = BenchmarkSpec.model_validate("progan_transfer")
    found = beside(frame, dict.fromkeys(frame["test_dataset"], spec))
    assert found["progan_transfer: 1-NN correct"].tolist() == [0.837, 0.764, 0.763]
    assert found["progan_transfer: MLP"].tolist() == [0.981, 0.939, 0.845]


def test_recall_of_fakes_stands_beside_the_accuracy_on_fakes():
    frame = pd.DataFrame(
        [
            results(train_generator="dalle", test_generator="glide_50_27", metric="accuracy_fake"),
            results(train_generator="dalle", test_generator="glide_50_27"),
        ]
    )
    found = beside(frame, {"ufd": BenchmarkSpec(benchmark="dalle_transfer")})
    assert found["dalle_transfer: AE + random forest"].tolist()[0] == 0.92
    assert found["dalle_transfer: AE + random forest"].isna().tolist() == [False, True]


def test_protocols_can_be_chosen_and_unknown_names_are_refused():
    spec = BenchmarkSpec(benchmark="UFD-19", protocols=("train ProGAN 4 classes 144k",))
    assert [one.label for one in references(spec)] == ["NPR", "FatFormer", "RINE-4", "C2P-CLIP", "Effort"]
    with pytest.raises(UnknownNameError, match="no method in UFD-19 named 'UniFD-LD'"):
        BenchmarkSpec(benchmark="UFD-19", methods=("UniFD-LD",))
    with pytest.raises(ValidationError):
        BenchmarkSpec(benchmark="UFD-19", methods=())
