"""Every published system: its sizes resolve and build, its record comes back, wrong requests are refused."""

import json
import re
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from radloom import systems
from radloom.data.cohort import Cohort
from radloom.data.views import AxialSlices, Cubes
from radloom.errors import RadloomError
from radloom.phantom import write_cohort
from radloom.runfolder import RunFolder
from radloom.system import Citation, System, Training

NAMES = systems.names()
CASES = [(name, size, dims) for name in NAMES for size, dims in systems.load(name).sizes]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cohort("brain", tmp_path_factory.mktemp("system") / "c", subjects=4, shape=(32, 32, 4))


@pytest.fixture
def conte() -> System:
    return systems.load("conte2021_missing_sequence")


def test_folder_is_the_registry() -> None:
    folder = Path(systems.__file__).parent
    assert [f"{name}.py" for name in NAMES] == sorted(p.name for p in folder.glob("[!_]*.py"))
    assert all(systems.load(name).name == name for name in NAMES)
    assert all(re.fullmatch(r"([a-z]+(19|20)\d\d|radloom)_\w+|contrast_cgan", name) for name in NAMES)


def test_unknown_system_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(RadloomError, match=r"no system.*conte2021_missing_sequence"):
        systems.load("conte2020_missing")


@pytest.mark.parametrize("name", NAMES)
def test_system_says_what_it_is(name: str) -> None:
    system = systems.load(name)
    assert {size for size, _ in system.sizes} == {"tiny", "cpu", "paper"}
    assert system.title
    assert system.claim
    assert system.deviations
    assert not set(system.task.target) & set(system.task.inputs)
    assert all(figure.source in ("abstract", "review", "code", "paper") for figure in system.paper)
    from radloom.metrics import METRICS

    assert set(system.metrics) <= set(METRICS)


@pytest.mark.parametrize(("name", "size", "dims"), CASES)
def test_every_size_resolves_and_builds(name: str, size: str, dims: int) -> None:
    system = systems.load(name)
    recipe = system.resolve(size, dims, {})
    assert recipe.training == system.sizes[size, dims].training
    assert dict(recipe.settings) == dict(system.sizes[size, dims].settings)
    with torch.device("meta"):  # the paper's size has tens of millions of weights
        model = recipe.build()
    assert sum(p.numel() for p in model.parameters()) > 0
    view = recipe.view()
    assert isinstance(view, {2: AxialSlices, 3: Cubes}[dims])
    assert view.patch == recipe.training.patch


@pytest.mark.parametrize(("name", "size", "dims"), CASES)
def test_settings_come_back_from_run_json_as_they_were(
    name: str, size: str, dims: int, cohort: Path, tmp_path: Path
) -> None:
    system = systems.load(name)
    recipe = system.resolve(size, dims, {"batch": "3", "learning_rate": "0.25", "patch": json.dumps([24] * dims)})
    folder = RunFolder.create(tmp_path / "run", recipe, Cohort.read(cohort), cohort / "cohort.csv", seed=4)
    again = RunFolder.open(tmp_path / "run").recipe(system)
    assert again == recipe
    assert (again.training.batch, again.training.learning_rate, again.training.patch) == (3, 0.25, (24,) * dims)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["seed"] == 4
    assert record["split_hash"] == Cohort.read(cohort).split_hash("train")
    assert record["cases"]["test"] == Cohort.read(cohort).where("test").ids
    assert record["training"] == json.loads(json.dumps(asdict(recipe.training)))
    with pytest.raises(RadloomError, match="exists already"):
        RunFolder.create(folder.path, recipe, Cohort.read(cohort), cohort / "cohort.csv", seed=4)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RadloomError, match="not a run folder"):
        RunFolder.open(tmp_path)


def test_changes_take_the_type_of_the_setting(conte: System) -> None:
    recipe = conte.resolve("tiny", 2, {"channels": "[4, 8]", "sees": "own", "mse_weight": "2", "betas": "[0, 0.9]"})
    assert recipe.settings["channels"] == (4, 8)
    assert recipe.settings["sees"] == "own"
    assert (type(recipe.settings["mse_weight"]), recipe.settings["mse_weight"]) == (float, 2.0)
    assert recipe.training.betas == (0.0, 0.9)
    assert conte.sizes["tiny", 2].settings["channels"] != (4, 8)


@pytest.mark.parametrize(
    ("size", "dims", "changes", "complaint"),
    [
        ("huge", 2, {}, "no size huge in 2D; expected --size tiny --dims 2"),
        ("paper", 4, {}, "no size paper in 4D"),
        ("tiny", 2, {"stepps": "3"}, "no setting stepps; expected one of.*steps"),
        ("tiny", 2, {"l1_weight": "3"}, "no setting l1_weight"),
        ("tiny", 2, {"steps": "many"}, "steps=many cannot be read; expected a value like 12"),
        ("tiny", 2, {"steps": "2.5"}, "steps=2.5 cannot be read"),
        ("tiny", 2, {"steps": "true"}, "steps=true cannot be read"),
        ("tiny", 2, {"patch": "32"}, "patch=32 cannot be read"),
        ("tiny", 2, {"patch": '["a", 2]'}, "cannot be read"),
        ("tiny", 2, {"patch": "[]"}, "cannot be read"),
        ("tiny", 2, {"channels": "[]"}, "cannot be read"),
        ("tiny", 2, {"channels": "[8.5, 8]"}, "cannot be read"),
        ("tiny", 2, {"learning_rate": '"fast"'}, "cannot be read"),
        ("tiny", 2, {"patch": "[32, 32, 32]"}, "3 axes; expected 2"),
        ("tiny", 3, {"patch": "[32, 32]"}, "2 axes; expected 3"),
        ("tiny", 2, {"patch": "[32, 0]"}, "patch is 0; expected a number above 0"),
        ("tiny", 2, {"steps": "0"}, "steps is 0"),
        ("tiny", 2, {"batch": "-1"}, "batch is -1"),
        ("tiny", 2, {"learning_rate": "NaN"}, "learning_rate is nan"),
        ("tiny", 2, {"ema": "1.5"}, "ema=1.5 is out of range"),
        ("tiny", 2, {"decay_from": "-0.1"}, "decay_from=-0.1 is out of range"),
    ],
)
def test_wrong_requests_are_refused_in_one_line(
    size: str, dims: int, changes: dict, complaint: str, conte: System
) -> None:
    with pytest.raises(RadloomError, match=complaint) as error:
        conte.resolve(size, dims, changes)
    assert "\n" not in str(error.value)


def test_unknown_route_is_refused(conte: System) -> None:
    with pytest.raises(RadloomError, match="sees=neither is unknown; expected own or both"):
        conte.resolve("tiny", 2, {"sees": "neither"}).build()


@pytest.mark.parametrize("name", NAMES)
def test_bibtex_has_balanced_braces_and_names_that_bibtex_splits(name: str) -> None:
    cite = systems.load(name).cite
    text = cite.bibtex()
    match = re.fullmatch(r"@article\{(\w+),\n((?:  \w+ = \{[^{}]*\},?\n)+)\}", text)
    assert match
    assert match[1] == cite.key
    entries = dict(re.findall(r"  (\w+) = \{([^{}]*)\}", match[2]))
    assert entries["year"] == str(cite.year)
    assert all(person == "others" or person.count(",") == 1 for person in entries["author"].split(" and "))


def test_bibtex_names_by_hand() -> None:
    cite = Citation("k2020", "Conte GM, van den Berg A, et al.", "T", "V 1:2-3", 2020, doi="10.1/x")
    assert "author = {Conte, GM and van den Berg, A and others}" in cite.bibtex()
    assert "doi = {10.1/x}" in cite.bibtex()


def test_training_has_no_field_that_set_cannot_change(conte: System) -> None:
    for name, value in asdict(Training(5, 2, (8, 8), 1e-3)).items():
        assert getattr(conte.resolve("tiny", 2, {name: json.dumps(value)}).training, name) is not None
