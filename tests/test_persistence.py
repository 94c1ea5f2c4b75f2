"""Saved models: the same answers after loading, whole or not there, and nothing taken on trust."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import warnings

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load as safetensors_load
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from fasttrain import losses, optimizers, penalties, schedules
from fasttrain._files import archive, atomic
from fasttrain._files.safetensors import decode_tensors, encode_tensors
from fasttrain.linear_model import LinearClassifier, LinearRegressor, MultiTaskLasso, SGDClassifier, SGDRegressor
from fasttrain.persistence import load, save
from fasttrain.preprocessing import LabelEncoder, MinMaxScaler, OneHotEncoder, StandardScaler, TablePreprocessor

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 4))
LABELS = np.array(["oak", "elm", "ash"], dtype=object)[np.argmax(X[:, :3], axis=1)]
Y = X @ [1.0, -2.0, 0.0, 3.0] + 0.5


def fitted(model, target):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(X, target)


MODELS = {
    "binary": lambda: fitted(LinearClassifier(max_iter=5, random_state=1), X[:, 0] > 0),
    "strings": lambda: fitted(
        LinearClassifier(optimizer="adam", max_iter=5, penalty=penalties.ElasticNet(0.1, 0.5)), LABELS),
    "multilabel": lambda: fitted(LinearClassifier(max_iter=5), (X[:, :2] > 0).astype(int)),
    "balanced": lambda: fitted(LinearClassifier(max_iter=5, class_weight={"oak": 2.0, "elm": 1, "ash": 1}), LABELS),
    "specs": lambda: fitted(
        LinearRegressor(
            losses.Huber(0.7), optimizer=optimizers.RMSprop(0.01, centered=True, clip_norm=3.0), max_iter=5,
            schedule=schedules.Warmup(n_steps=3, then=schedules.CosineDecay()),
        ),
        Y,
    ),
    "lbfgs": lambda: fitted(LinearRegressor(optimizer=optimizers.LBFGS()), Y),
    "float32": lambda: fitted(LinearRegressor(max_iter=5, dtype=np.float32), np.c_[Y, -Y]),
    "no history": lambda: fitted(LinearRegressor(max_iter=5, tol=-np.inf, early_stopping=True, random_state=0), Y),
    "pipeline": lambda: fitted(
        Pipeline([("scale", StandardScaler()), ("same", "passthrough"), ("model", LinearClassifier(max_iter=5))]),
        LABELS,
    ),
    "min-max": lambda: fitted(make_pipeline(MinMaxScaler((-1, 1)), LinearRegressor(max_iter=5)), Y),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_loaded_model_answers_with_the_same_bytes(name, tmp_path):
    model = MODELS[name]()
    save(model, tmp_path / "model", notes={"made for": "Übung", "n": [1, None]})
    again, notes = load(tmp_path / "model", return_notes=True)
    assert notes == {"made for": "Übung", "n": [1, None]}
    assert type(again) is type(model)
    assert again.predict(X).tobytes() == model.predict(X).tobytes() or again.predict(X).dtype == object
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert repr(again.get_params(deep=True)) == repr(model.get_params(deep=True))
    last, before = (m[-1] if isinstance(m, Pipeline) else m for m in (again, model))
    assert set(vars(before)) - set(vars(last)) <= {"_engine"}
    assert last.loss_curve_ == before.loss_curve_
    if hasattr(model, "predict_proba"):
        np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert sorted(os.listdir(tmp_path)) == ["model"]
    assert len(os.listdir(tmp_path / "model")) == 2


def test_a_loaded_model_trains_on(tmp_path):
    model = MODELS["strings"]()
    save(model, tmp_path / "model")
    again = load(tmp_path / "model")
    loss = again.loss_
    for _ in range(30):
        again.partial_fit(X, LABELS)
    assert again.n_iter_ == model.n_iter_ + 30
    assert again.loss_ < loss


def test_encoders_and_tables(tmp_path):
    frame = pd.DataFrame({"a": [1.0, None, 3.0], "wood": ["oak", "elm", None], "more": [1, 2, 3]})
    table = TablePreprocessor(types={"more": "drop"}).fit(frame)
    save(table, tmp_path / "table")
    np.testing.assert_array_equal(load(tmp_path / "table").transform(frame), table.transform(frame))
    labels = LabelEncoder().fit(LABELS)
    save(labels, tmp_path / "labels")
    np.testing.assert_array_equal(load(tmp_path / "labels").transform(LABELS), labels.transform(LABELS))
    hot = OneHotEncoder(drop="first", min_frequency=2).fit([["a"], ["a"], ["b"], ["b"], ["c"]])
    save(hot, tmp_path / "hot")
    again = load(tmp_path / "hot")
    np.testing.assert_array_equal(again.transform([["b"], ["c"]]).toarray(), hot.transform([["b"], ["c"]]).toarray())


def test_callbacks_stay_behind(tmp_path):
    model = fitted(LinearRegressor(max_iter=2, callbacks=[lambda epoch, logs: None]), Y)
    save(model, tmp_path / "model")
    assert load(tmp_path / "model").callbacks is None


def test_what_is_not_saved(tmp_path):
    with pytest.raises(NotFittedError):
        save(LinearRegressor(), tmp_path / "model")
    with pytest.raises(TypeError, match="LogisticRegression"):
        save(LogisticRegression().fit(X, Y > 0), tmp_path / "model")
    with pytest.raises(TypeError, match=r"LinearRegressor\.penalty cannot be saved: builtins\.object"):
        save(fitted(LinearRegressor(max_iter=2), Y).set_params(penalty=object()), tmp_path / "model")
    with pytest.raises(ValueError, match="not JSON compliant"):
        save(MODELS["lbfgs"](), tmp_path / "model", notes={"x": float("nan")})
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match="is a file"):
        save(MODELS["lbfgs"](), tmp_path / "file")
    assert os.listdir(tmp_path) == ["file"]


def test_the_array_file_is_safetensors(tmp_path):
    model = MODELS["strings"]()
    save(model, tmp_path / "model")
    (file,) = (tmp_path / "model").glob("arrays-*.safetensors")
    arrays = safetensors_load(file.read_bytes())
    np.testing.assert_array_equal(arrays["LinearClassifier.coef_"], model.coef_)
    np.testing.assert_array_equal(arrays["LinearClassifier.intercept_"], model.intercept_)


@pytest.mark.parametrize("dtype", ["?", "u1", "i2", "u4", "i8", "f2", "f4", "f8", ">f8", ">i4"])
def test_arrays_of_every_kind(dtype):
    arrays = {
        "c": np.arange(6).reshape(2, 3).astype(dtype),
        "f": np.asfortranarray(np.arange(6).reshape(2, 3)).astype(dtype)[:, ::2],
        "0-d": np.array(1).astype(dtype),
        "empty": np.empty((0, 3), dtype),
        "name in ü": np.ones(5, "i1"),
    }
    data = encode_tensors(arrays)
    assert int.from_bytes(data[:8], "little") % 8 == 0
    for read in (decode_tensors(data, "x"), safetensors_load(data)):
        assert set(read) == set(arrays)
        for name, array in arrays.items():
            assert read[name].shape == array.shape
            assert read[name].dtype == array.dtype.newbyteorder("=")
            np.testing.assert_array_equal(read[name], array)
    assert decode_tensors(data, "x")["c"].flags.writeable


def tensors(header, payload=b"\0" * 8):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + payload


def entry(dtype="F64", shape=(1,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "cut short"),
        (b"\1\0\0", "cut short"),
        ((1 << 63).to_bytes(8, "little") + b"{}", "cut short"),
        (tensors(b"{]"), "not JSON"),
        (tensors(b"\xff\xfe"), "not JSON"),
        (tensors(b"[" * 100_000), "not JSON"),
        (tensors([1]), "not a JSON object"),
        (tensors(b'{"a":1,"a":2}'), "stands twice"),
        (tensors({"a": entry(dtype="BF16")}), "header entry"),
        (tensors({"a": entry(shape=(-1,))}), "header entry"),
        (tensors({"a": entry(shape=(True,))}), "header entry"),
        (tensors({"a": entry(shape="8")}), "header entry"),
        (tensors({"a": entry(offsets=(0,))}), "header entry"),
        (tensors({"a": 3}), "header entry"),
        (tensors({"a": entry(offsets=(8, 16))}), "bytes 8 to 16 of 8"),
        (tensors({"a": entry(offsets=(8, 0))}), "bytes 8 to 0"),
        (tensors({"a": entry(shape=(2,))}), "8 bytes, shape"),
        (tensors({"a": entry(shape=(1 << 62, 4))}), "8 bytes, shape"),
        (tensors({"a": entry("U8", (4,), (0, 4))}), "belong to no array"),
        (tensors({"a": entry("U8", (4,), (0, 4)), "b": entry("U8", (6,), (2, 8))}), "overlap"),
        (tensors({"a": entry("U8", (4,), (4, 8))}), "gap"),
    ],
)
def test_bad_array_files(data, message):
    with pytest.raises(ValueError, match=message) as caught:
        decode_tensors(data, "folder/file")
    assert str(caught.value).startswith("folder/file")


@pytest.fixture
def folder(tmp_path):
    save(MODELS["pipeline"](), tmp_path / "model")
    return tmp_path / "model"


def arrays_of(folder):
    (file,) = folder.glob("arrays-*.safetensors")
    return file


def rewrite(folder, change, seal=True):
    """Change the index, and put the checksum right so that only the change is wrong."""
    index = json.loads((folder / "model.json").read_text())
    change(index)
    if seal:
        index["sha256"] = archive._digest(index)
    (folder / "model.json").write_text(json.dumps(index))


def test_a_missing_or_damaged_file_is_named(folder):
    index, arrays = folder / "model.json", arrays_of(folder)
    text, data = index.read_bytes(), arrays.read_bytes()
    for cut in (0, 1, len(text) // 2, len(text) - 3):
        index.write_bytes(text[:cut])
        with pytest.raises(ValueError, match=r"model\.json is cut short"):
            load(folder)
    index.write_bytes(b"\xff" + text)
    with pytest.raises(ValueError, match=r"model\.json is not UTF-8"):
        load(folder)
    index.write_bytes(text.replace(b"oak", b"fir", 1))
    with pytest.raises(ValueError, match=r"model\.json was changed"):
        load(folder)
    index.unlink()
    with pytest.raises(ValueError, match=r"model\.json is missing"):
        load(folder)
    index.write_bytes(text)
    for cut in (0, 7, len(data) - 1):
        arrays.write_bytes(data[:cut])
        with pytest.raises(ValueError, match=rf"{arrays.name} has {cut} bytes, it must have {len(data)}"):
            load(folder)
    arrays.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ValueError, match=rf"{arrays.name} was changed"):
        load(folder)
    arrays.unlink()
    with pytest.raises(ValueError, match=rf"{arrays.name} is missing"):
        load(folder)
    arrays.write_bytes(data)
    assert load(folder).predict(X).shape == (60,)
    with pytest.raises(ValueError, match="nowhere is not a folder"):
        load(folder / "nowhere")


def model_of(index):
    return index["model"]["steps"][2][1]


def set_key(*path):
    *keys, last, value = path

    def change(index):
        for key in keys:
            index = index[key]
        index[last] = value

    return change


@pytest.mark.parametrize(
    "change, message",
    [
        (set_key("format", "other"), "not the index"),
        (set_key("format_version", 2), "format_version 2, this fasttrain reads 1"),
        (set_key("format_version", True), "format_version True"),
        (set_key("notes", []), "'notes'"),
        (lambda index: index.pop("files"), "'files'"),
        (set_key("files", {}), "in none of its files"),
        (set_key("files", {"../x.safetensors": {}}), "not the name of an array file"),
        (lambda index: model_of(index).update({"class": "Popen"}), "'Popen' is not a class"),
        (lambda index: model_of(index).update({"@": "code"}), "not a kind of value"),
        (lambda index: model_of(index)["params"].update(alpha2=1), "alpha2"),
        (lambda index: model_of(index)["state"].update(predict=1), "'predict' is not an attribute"),
        (lambda index: model_of(index)["state"].update(__class__=1), "'__class__' is not an attribute"),
        (lambda index: model_of(index)["state"].pop("coef_"), "not describe a model"),
        (lambda index: model_of(index)["state"].update(n_features_in_=7), "must have 7 columns"),
        (lambda index: model_of(index)["state"].update(classes_={"@": "dtype", "value": "O"}), "not a dtype"),
        (
            lambda index: model_of(index)["params"].update(
                optimizer={"@": "spec", "kind": "optimizers", "class": "np", "fields": {}}
            ),
            "vocabulary",
        ),
        (
            lambda index: model_of(index)["params"].update(
                optimizer={"@": "spec", "kind": "optimizers", "class": "Adam", "fields": {"learning_rate": -1.0}}
            ),
            "learning_rate of Adam must be",
        ),
        (lambda index: index["model"]["steps"][0][1]["state"].update(n_features_in_=5), r"shape \(5,\)"),
    ],
)
def test_an_index_that_does_not_fit_is_refused(folder, change, message):
    rewrite(folder, change)
    with pytest.raises(ValueError, match=message) as caught:
        load(folder)
    assert "model.json" in str(caught.value)


def test_every_single_byte_counts(folder):
    """No byte of either file can change without being noticed (every 23rd is tried), white space aside."""
    for file in (folder / "model.json", arrays_of(folder)):
        data = file.read_bytes()
        for at in range(0, len(data), 23):
            if file.suffix == ".json" and data[at : at + 1].isspace():
                continue
            file.write_bytes(data[:at] + bytes([data[at] ^ 2]) + data[at + 1 :])
            with pytest.raises(ValueError, match=r"model\.json|safetensors"):
                load(folder)
        file.write_bytes(data)
    load(folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a POSIX system")
@pytest.mark.parametrize("make", [os.mkdir, lambda path: os.mkfifo(path), lambda path: os.symlink("/dev/zero", path)],
                         ids=["folder", "pipe", "device"])
@pytest.mark.parametrize("which", ["index", "arrays"])
def test_what_is_not_a_file_is_refused(folder, which, make):
    path = folder / "model.json" if which == "index" else arrays_of(folder)
    path.unlink()
    make(path)
    with pytest.raises(ValueError, match=f"{path.name} is missing"):
        load(folder)


def test_places_of_categories_are_checked(tmp_path):
    encoder = OneHotEncoder().fit([["a"], ["b"]])
    encoder._out_columns[0][0] = 99
    save(encoder, tmp_path / "hot")
    with pytest.raises(ValueError, match="places from -1 to 1"):
        load(tmp_path / "hot")


def test_an_older_model_is_replaced_and_other_files_stay(folder):
    (folder / "mine.txt").write_text("kept")
    old = arrays_of(folder)
    model = MODELS["specs"]()
    save(model, folder, files={"results.json": b"{}"})
    assert not old.exists()
    assert sorted(os.listdir(folder)) == sorted([arrays_of(folder).name, "mine.txt", "model.json", "results.json"])
    np.testing.assert_array_equal(load(folder).predict(X), model.predict(X))


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
@pytest.mark.parametrize(
    "owner, name, existing",
    [
        (atomic, "_write", True), (atomic, "_write", False), (os, "fsync", True), (os, "fsync", False),
        (os, "replace", True), (os, "rename", False),
    ],
)
def test_a_failure_at_any_point_leaves_the_old_or_the_new(tmp_path, monkeypatch, owner, name, existing, error):
    """The n-th call of a function fails, for every n that the write comes to."""
    old, new = MODELS["lbfgs"](), MODELS["specs"]()
    original = getattr(owner, name)
    outcomes = []
    for n in range(1, 30):
        place = tmp_path / str(n)
        target = place / "deep" / "model"
        place.mkdir()
        if existing:
            save(old, target, files={"results.json": b"old"})
        before = contents(place)
        calls = []

        def failing(*args, n=n, calls=calls, **kwargs):
            calls.append(args)
            if len(calls) == n:
                raise error("here")
            return original(*args, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(owner, name, failing)
            try:
                save(new, target, files={"results.json": b"new"})
                outcomes.append("done")
            except error:
                outcomes.append("old" if contents(place) == before else "new")
        assert not list(place.rglob("*partial*"))
        if outcomes[-1] == "old":
            assert (place / "deep").exists() == existing
        else:
            np.testing.assert_array_equal(load(target).predict(X), new.predict(X))
        if outcomes[-1] == "done":
            break
    assert outcomes[0] == "old"
    assert outcomes[-1] == "done"
    assert outcomes == sorted(outcomes, key=["old", "new", "done"].index)


def test_a_killed_writer_leaves_the_old_model_readable(folder):
    """SIGKILL at the worst moment: all new files written, the index not yet renamed."""
    program = f"""
        import os, signal, sys
        from fasttrain import persistence
        replace = os.replace
        def kill(source, target):
            if str(target).endswith("model.json"):
                os.kill(os.getpid(), signal.SIGKILL)
            replace(source, target)
        os.replace = kill
        model = persistence.load({str(folder)!r})
        model[-1].coef_ += 1
        persistence.save(model, {str(folder)!r})
    """
    expected = load(folder).predict(X)
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    np.testing.assert_array_equal(load(folder).predict(X), expected)
    save(MODELS["specs"](), folder)
    assert len(list(folder.glob("arrays-*"))) == 1


def test_the_checksum_in_the_index_is_the_files_own(folder):
    index = json.loads((folder / "model.json").read_text())
    ((name, facts),) = index["files"].items()
    assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == facts["sha256"]
    assert facts["bytes"] == (folder / name).stat().st_size


# ---- a stranger's files ----


def rewritten(folder, change):
    """A folder whose content was changed, its checksum made right."""
    index = json.loads((folder / "model.json").read_text())
    change(index["model"])
    index["sha256"] = archive._digest(index)
    (folder / "model.json").write_text(json.dumps(index))
    return folder


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


def test_the_state_of_a_generator_is_looked_at(tmp_path):
    """NumPy follows the position of a Mersenne twister into its memory, whatever it is."""
    model = LinearClassifier(max_iter=2, random_state=np.random.RandomState(0))
    save(fitted(model, X[:, 0] > 0), tmp_path)
    for position in (269_000_000, 625, -1, "a", None, 1.5):

        def change(model, position=position):
            part = dict(model["params"]["random_state"]["state"]["items"])["state"]["items"]
            next(item for item in part if item[0] == "pos")[1] = position

        with pytest.raises(ValueError, match="pos must be an integer from 0 to 624, got"):
            load(rewritten(tmp_path, change))


@pytest.mark.parametrize("dtype", ["<U200000000", "<U2000000"])
def test_text_takes_no_more_than_its_files_and_a_little(tmp_path, dtype):
    save(LabelEncoder().fit(np.array(["elm", "oak"])), tmp_path)

    def change(model):
        model["state"]["classes_"]["dtype"] = dtype
        model["state"]["classes_"]["values"] = ["elm", "oak", "yew"]
        model["state"]["classes_"]["shape"] = [3]

    with pytest.raises(ValueError, match=r"arrays of text take [0-9]+ bytes more than the text in them"):
        load(rewritten(tmp_path, change))


@pytest.mark.parametrize("width", [30, 3000])
def test_wide_text_is_saved_as_it_is(tmp_path, width):
    """One long label among many short ones: its array is wide, and so is its file."""
    labels = np.array([f"{i}" for i in range(3000)] + ["w" * width])
    save(LabelEncoder().fit(labels), tmp_path)
    loaded = load(tmp_path)
    assert loaded.classes_.dtype == labels.dtype
    np.testing.assert_array_equal(loaded.classes_, np.unique(labels))
    assert loaded.transform(labels[-1:]).tolist() == [3000]


def test_a_sparse_array_is_not_made_dense(tmp_path):
    model = SGDClassifier(max_iter=2, random_state=0)
    save(fitted(model, X[:, 0] > 0).sparsify(), tmp_path)

    def change(model):
        model["state"]["coef_"]["shape"] = [1, 2**40]
        model["state"]["n_features_in_"] = 2**40

    assert load(rewritten(tmp_path, change)).coef_.shape == (1, 2**40)


@pytest.mark.parametrize("indptr", [[0, 4, 0], [0, 9, 3], [1, 2, 3], [0, 3]], ids=str)
def test_a_sparse_array_that_is_none_is_refused(tmp_path, indptr):
    """SciPy's check lets [0, 4, 0] pass, and its product follows it into foreign memory."""
    model = fitted(SGDRegressor(max_iter=2, random_state=0), np.c_[Y, Y]).sparsify()
    model.coef_.indptr, model.coef_.data = np.array(indptr, dtype=np.int32), model.coef_.data[:3].copy()
    model.coef_.indices = model.coef_.indices[:3].copy()
    save(model, tmp_path)
    with pytest.raises(ValueError, match="must be those of a CSR array"):
        load(tmp_path)


@pytest.mark.parametrize("depth", [70, 450])
def test_values_within_values_have_an_end(tmp_path, depth):
    save(LabelEncoder().fit(["elm", "oak"]), tmp_path)
    with pytest.raises(ValueError, match="nested more than 64 deep"):
        load(rewritten(tmp_path, lambda model: model["state"].update(classes_=nested(depth))))


def test_arrays_lie_in_memory_as_they_did(tmp_path):
    """Products with them round as they did only then."""
    model = MultiTaskLasso(0.01).fit(X, np.column_stack([Y, X[:, 0]]))
    save(model, tmp_path)
    loaded = load(tmp_path)
    assert model.coef_.flags.f_contiguous
    assert loaded.coef_.flags.f_contiguous
    assert loaded.predict(X).tobytes() == model.predict(X).tobytes()
    for order in ("C", 1, None):
        with pytest.raises(ValueError, match=r"is not an order that arrays are saved in"):
            load(rewritten(tmp_path, lambda content, order=order: content["state"]["coef_"].update(order=order)))


def test_labels_of_dates_are_no_text():
    encoder = LabelEncoder().fit(["elm", "oak"])
    with pytest.raises(ValueError, match="y must hold labels like those that were seen in fit"):
        encoder.transform(np.array(["2020-01-01"], dtype="M8[D]"))
    dates = np.array(["2020-01-01", "2021-01-01"], dtype="M8[D]")
    assert LabelEncoder().fit(dates).transform(dates).tolist() == [0, 1]
