"""The verdict of a check: its order, its points and its words."""

import numpy as np
import pytest
import torch

from autograder import mistakes
from autograder.checks import Check, Misfit, Twin

BATCH = 3


@pytest.fixture
def bank():
    """A clean place in the bank for the exercise 'layer'."""
    yield mistakes.mistake
    mistakes._bank.pop("layer", None)


def graded(function, capsys, *, hidden=True, follow=None, **options):
    """Grade ``function`` as the exercise 'layer': Z = X W.T + b and its bias gradient."""
    globals()["layer"] = function
    rng = np.random.default_rng(0)

    def pytorch(X, W, b):
        Z = X @ W.T + b
        (db,) = torch.autograd.grad(Z.sum(), b)
        return Z, db

    check = Check("layer", pytorch, **{"returns": {"Z": 2, "db": 1}, **options})
    cases = [("wide", (BATCH, 4, 2)), ("square", (5, 3, 3))]
    for title, (batch, n_in, n_out) in cases:
        inputs = {
            "X": rng.normal(size=(batch, n_in)),
            "W": rng.normal(size=(n_out, n_in)),
            "b": rng.normal(size=n_out),
        }
        (check.hidden if hidden and title == "square" else check).case(title, **inputs)
    check.hidden.follow_through(**follow or {})
    points = check.grade()
    if function is None:
        del globals()["layer"]
    return points, capsys.readouterr().out, check


def right(X, W, b):
    return X @ W.T + b, np.full(len(b), float(len(X)))


def test_right_answer_gets_all_points_and_says_which_checks_passed(capsys):
    points, text, check = graded(right, capsys)
    assert (points, type(points)) == (3.0, float)
    assert text.splitlines()[0] == "layer: all checks passed, hidden ones included."
    assert check.diagnosis is None


def test_green_visible_check_never_says_all_passed(capsys):
    _, text, _ = graded(right, capsys, hidden=False)
    assert text.splitlines()[0] == "layer: all visible checks passed."
    assert "3 of 3 points on the visible checks." in text


@pytest.mark.parametrize(
    ("function", "first_line"),
    [
        (3, "layer is an int, expected a function."),
        (lambda X, W, b: None, "layer returned None, expected 2 values: Z, db."),
        (lambda X, W, b: X @ W.T, "layer returned one value (ndarray), expected 2 values: Z, db."),
        (lambda X, W, b: (1, 2, 3), "layer returned 3 values, expected 2 values: Z, db."),
        (lambda X, W, b: (None, b), "layer: Z is None."),
        (lambda X, W, b: ([1.0], b), "layer: Z is a list, expected a NumPy array."),
        (lambda X, W, b: (X, b), "layer: Z has shape (3, 4), expected (3, 2)."),
        (
            lambda X, W, b: ((X @ W.T + b).astype(np.float32), b),
            "layer: Z is float32, expected float64.",
        ),
        (
            lambda X, W, b: (np.full((len(X), len(b)), np.nan), b),
            "layer: Z: 6 of 6 values are not finite (nan).",
        ),
        (lambda X, W, b: (X @ W.T, right(X, W, b)[1]), "layer: Z differs in 6 of 6 values."),
        (lambda X, W, b: 1 / 0, "layer raised ZeroDivisionError: division by zero."),
        (lambda X, W, b: exit(), "layer raised SystemExit: None."),
    ],
)
def test_the_first_line_says_what_to_look_at(function, first_line, capsys):
    points, text, _ = graded(function, capsys)
    assert text.splitlines()[0].startswith(first_line)
    assert points < 3


def test_missing_and_unwritten_are_told_apart(capsys):
    def layer(X, W, b):
        raise NotImplementedError

    assert "not written yet" in graded(layer, capsys)[1].splitlines()[0]
    assert "not defined" in graded(None, capsys)[1].splitlines()[0]


def test_partial_credit_names_the_first_wrong_quantity(capsys):
    points, text, _ = graded(lambda X, W, b: (X @ W.T + b, b * 0 + 1.5), capsys)
    assert points == 2
    assert "Z is right; db is the first that differs." in text


def test_follow_through_credit_needs_numbers_that_show_it(capsys):
    def pytorch_db(Z, W, b):
        return Z.sum(axis=0)

    def consistent(X, W, b):
        Z = X @ W.T
        return Z, Z.sum(axis=0)

    follow = {"db": pytorch_db}
    assert graded(consistent, capsys, follow=follow)[0] == 1
    zeros = graded(lambda X, W, b: (0 * (X @ W.T), 0 * b), capsys, follow=follow)
    assert zeros[0] == 0


def test_a_changed_input_and_a_view_cost_half_of_the_points(capsys):
    def changes(X, W, b):
        Z = X @ W.T + b
        X *= 2
        return Z, right(X, W, b)[1]

    points, text, check = graded(changes, capsys)
    assert points == 1.5
    assert check.diagnosis.id == "general/input-changed"
    assert "changes its input X" in text.splitlines()[0]


def test_torch_is_never_the_answer_of_a_numpy_exercise(capsys):
    def uses_torch(X, W, b):
        Z = torch.nn.functional.linear(*map(torch.from_numpy, (X, W, b)))
        return Z.numpy(), right(X, W, b)[1]

    points, text, _ = graded(uses_torch, capsys)
    assert points == 0
    assert "this exercise is written in NumPy" in text


def test_what_a_function_prints_stays_out_of_the_report(capfd):
    import sys

    def noisy(X, W, b):
        print("noise")
        print("noise", file=sys.stderr)
        np.log(np.zeros(1))
        return right(X, W, b)

    globals()["layer"] = noisy
    check = Check("layer", lambda X, W, b: (X @ W.T + b, b * 0 + len(X)), returns={"Z": 2, "db": 1})
    check.case("any", X=np.ones((2, 3)), W=np.ones((4, 3)), b=np.ones(4))
    assert check.grade() == 3
    out, err = capfd.readouterr()
    assert "noise" not in out
    assert err == ""


# ---------------------------------------------------------------------------- diagnosis


def test_a_record_is_named_when_its_numbers_agree(bank, capsys):
    @bank("layer", "no-bias", "The bias is absent.")
    def layer(X, W, b):
        return X @ W.T, np.full(len(b), float(len(X)))

    @bank("layer", "one-sample", "Only one sample counts.")
    def layer(X, W, b):
        return X @ W.T + b, np.ones(len(b))

    _, text, check = graded(lambda X, W, b: (np.dot(X, W.T), right(X, W, b)[1]), capsys)
    assert check.diagnosis.id == "layer/no-bias"
    assert "Diagnosis: The bias is absent. [layer/no-bias]" in text.splitlines()

    # Two mistakes at once: the first wrong quantity still shows the first of them.
    _, _, check = graded(lambda X, W, b: (np.dot(X, W.T), b * 0 + 7.5), capsys)
    assert check.diagnosis.id == "layer/no-bias"


def test_silent_when_two_records_fit(bank, capsys):
    @bank("layer", "first", "One sentence.")
    def layer(X, W, b):
        return X @ W.T * 3 + b, right(X, W, b)[1]

    @bank("layer", "second", "Another sentence.")
    def layer(X, W, b):
        return X @ W.T * 3 + b, right(X, W, b)[1]

    _, _, check = graded(lambda X, W, b: (3 * X @ W.T + b, right(X, W, b)[1]), capsys)
    assert check.diagnosis is None


def test_a_raise_alone_proves_nothing(bank, capsys):
    @bank("layer", "wrong-order", "The matrices stand in the wrong order.")
    def layer(X, W, b):
        raise ValueError("shapes")

    def student(X, W, b):
        raise ValueError("shapes")

    assert graded(student, capsys)[2].diagnosis is None


@pytest.mark.parametrize(
    ("change", "diagnosis"),
    [
        (lambda Z, X, b: -Z, "general/sign"),
        (lambda Z, X, b: 2 * Z, "general/constant-factor"),
        (lambda Z, X, b: Z / len(X), "general/mean-for-sum"),
        (lambda Z, X, b: Z * len(X), "general/sum-for-mean"),
        (lambda Z, X, b: Z.T, "general/transposed"),
        (lambda Z, X, b: Z - b, "general/one-term"),
        (lambda Z, X, b: Z + b, "general/one-term"),
        (lambda Z, X, b: Z**2, None),
        (lambda Z, X, b: Z + 1, None),
    ],
)
def test_general_shapes_of_error_are_found_by_arithmetic(change, diagnosis, capsys):
    def student(X, W, b):
        Z, db = right(X, W, b)
        return change(Z, X, b), db

    found = graded(student, capsys)[2].diagnosis
    assert (found and found.id) == diagnosis


def test_a_missing_batch_sum_is_found(capsys):
    def student(X, W, b):
        return X @ W.T + b, np.ones((len(X), len(b)))

    assert graded(student, capsys)[2].diagnosis.id == "general/missing-batch-sum"


def test_a_missing_sum_over_two_axes_is_found(capsys):
    globals()["layer"] = lambda X: X

    check = Check("layer", lambda X: X.sum((0, 1)), returns={"db": 1})
    check.case("B and T", X=np.random.default_rng(0).normal(size=(2, 4, 3)))
    assert check.grade() == 0.0
    assert check.diagnosis.id == "general/missing-batch-sum"
    capsys.readouterr()


def test_of_an_unwritten_helper_the_report_speaks(capsys):
    def helper(X):
        raise NotImplementedError

    globals()["helper"] = helper
    for body, first in (
        (lambda X, W, b: helper(X), "layer uses helper, which is not written yet."),
        (unwritten, "layer is not written yet: it raises NotImplementedError."),
    ):
        points, text, _ = graded(body, capsys)
        assert (points, text.splitlines()[0]) == (0.0, first)
    del globals()["helper"]


def unwritten(X, W, b):
    raise NotImplementedError


def test_an_entry_that_is_none_is_no_forgotten_return(capsys):
    for answer, asks in ((lambda X: [X.copy(), None], False), (lambda X: None, True)):
        globals()["layer"] = answer
        check = Check("layer", lambda X: [X, 2 * X], returns={"dW": 1})
        check.case("2 samples", X=np.ones((2, 3)))
        check.grade()
        assert ("return statement" in capsys.readouterr().out) == asks


def sums_over_tokens(function, capsys):
    """The exercise 'layer' on sequences: db sums over B and T, and dW has one row."""
    globals()["layer"] = function
    check = Check(
        "layer", lambda X: (X.sum((0, 1)), X.sum((0, 1))[None, :]), returns=dict(b=1, W=1)
    )
    for shape in ((2, 4, 3), (5, 2, 3), (1, 1, 3)):
        check.case(str(shape), X=np.random.default_rng(0).normal(size=shape))
    check.grade()
    capsys.readouterr()
    return check.diagnosis and (check.diagnosis.id, check.diagnosis.sentence)


def test_a_case_of_one_sample_does_not_hide_a_shape_of_error(capsys):
    def of(b, W):
        return sums_over_tokens(lambda X: (b(X), W(X)), capsys)

    def right_b(X):
        return X.sum((0, 1))

    def right_W(X):
        return right_b(X)[None, :]

    assert of(right_b, right_W) is None
    assert of(lambda X: X * 1, right_W)[0] == "general/missing-batch-sum"
    assert of(lambda X: X.sum(0), right_W)[0] == "general/missing-batch-sum"
    assert of(lambda X: X.sum(1), right_W)[0] == "general/missing-batch-sum"
    name, sentence = of(lambda X: X.mean((0, 1)), right_W)
    assert name == "general/mean-for-sum" and "number of tokens" in sentence
    name, sentence = of(lambda X: right_b(X) / len(X), right_W)
    assert name == "general/mean-for-sum" and "number of samples" in sentence
    assert of(right_b, lambda X: right_W(X).T) is None  # a row may be a column for other reasons


def test_of_a_list_with_an_entry_for_each_layer_every_entry_is_looked_at(capsys):
    def graded_list(change):
        globals()["layer"] = lambda X: [change(X.T @ X[:, :2], X), change(X.T @ X[:, :1], X)]
        check = Check("layer", lambda X: [X.T @ X[:, :2], X.T @ X[:, :1]], returns={"dW": 1})
        for n in (2, 4):
            check.case(f"{n} samples", X=np.random.default_rng(n).normal(size=(n, 3)))
        check.grade()
        capsys.readouterr()
        return check.diagnosis and check.diagnosis.id

    assert graded_list(lambda W, X: W) is None
    assert graded_list(lambda W, X: -W) == "general/sign"
    assert graded_list(lambda W, X: W.T) == "general/transposed"
    assert graded_list(lambda W, X: W / len(X)) == "general/mean-for-sum"
    assert graded_list(lambda W, X: -W if W.shape[1] == 1 else W) is None
    assert graded_list(lambda W, X: W**2) is None


def test_values_in_another_order_are_named_and_get_no_more_points(capsys):
    points, text, check = graded(lambda X, W, b: right(X, W, b)[::-1], capsys)
    assert (points, check.diagnosis.id) == (0.0, "general/other-order")
    assert "Return Z, db." in text

    # The right order with a number beyond the tolerance is no other order.
    def near(X, W, b):
        return X @ W.T + b, right(X, W, b)[1] + 1e-12

    check = graded(near, capsys, tolerance={"db": 1e-13})[2]
    assert check.diagnosis is None or check.diagnosis.id != "general/other-order"
    # In one case only, it may be chance.
    once = iter([right, lambda *v: right(*v)[::-1]])
    assert graded(lambda *v: next(once)(*v), capsys)[2].diagnosis is None


def test_a_record_that_spoils_what_is_right_is_not_named(bank, capsys):
    @bank("layer", "both", "Both are multiplied.")
    def layer(X, W, b):
        Z, db = right(X, W, b)
        return Z + 1, db + 1

    def one_only(X, W, b):
        Z, db = right(X, W, b)
        return Z + 1, db

    def one_and_something_else(X, W, b):
        Z, db = right(X, W, b)
        return Z + 1, db * db

    def one_by_a_change_of_the_input(X, W, b):
        Z, db = right(X, W, b)
        X += 1.0
        return Z + 1, db * db

    assert graded(one_only, capsys)[2].diagnosis is None
    assert graded(one_and_something_else, capsys)[2].diagnosis.id == "layer/both"
    assert graded(one_by_a_change_of_the_input, capsys)[2].diagnosis.id == "general/input-changed"


def test_a_dict_of_arrays_is_called_by_its_shapes(capsys):
    globals()["layer"] = lambda cache: cache["a0"] + 1

    check = Check("layer", lambda cache: cache["a0"], returns={"a": 1})
    check.case("a cache", cache={"a0": np.ones((2, 3)), "z1": np.zeros((2, 4))})
    check.grade()
    assert "Called layer with cache {a0 (2, 3), z1 (2, 4)}." in capsys.readouterr().out


def test_a_list_of_tuples_of_arrays_is_called_by_its_shapes(capsys):
    globals()["stack"] = lambda layers: layers[0][0] + 1

    check = Check("stack", lambda layers: layers[0][0], returns={"a": 1})
    check.case("2 layers", layers=[(np.ones((2, 3)), np.ones(2)), (np.ones((4, 2)),)])
    check.grade()
    assert "Called stack with layers [((2, 3), (2,)), ((4, 2),)]." in capsys.readouterr().out


def test_a_wrong_answer_of_yes_or_no_is_shown_without_its_library(capsys):
    globals()["is_one"] = lambda z: np.all(z == 2)

    check = Check("is_one", lambda z: bool((z == 1).all()), returns={"answer": 1})
    check.case("ones", z=np.ones(3))
    check.grade()
    assert capsys.readouterr().out.startswith("is_one: answer is False.")


def test_where_one_number_is_expected_the_report_says_so(capsys):
    globals()["total"] = lambda z: z

    check = Check("total", lambda z: z.sum(), returns={"loss": 1})
    check.case("ones", z=np.ones(3))
    check.grade()
    assert "loss has shape (3,), expected one number." in capsys.readouterr().out


# ---------------------------------------------------------------------------- aspects, probes


def test_a_probe_says_what_it_cannot_read(capsys):
    globals()["make"] = lambda: [1.0]

    def probe(make, z):
        raise Misfit(f"returned {type(make()).__name__}, expected a tensor.")

    check = Check("make", lambda z: z, returns={"y": 1}, probe=probe)
    check.case("ones", z=np.ones(3))
    assert check.grade() == 0.0
    out = capsys.readouterr().out
    assert out.startswith("make returned list, expected a tensor.")
    assert "Tried with z (3,)." in out


@pytest.mark.parametrize(("alone", "points"), [(False, 0.0), (True, 2.0)])
def test_an_aspect_may_be_work_of_its_own(alone, points, capsys):
    globals()["power"] = lambda z, cubed: z**3

    def reference(z, cubed):
        return z**3 if cubed else z**2

    check = Check("power", reference, returns={"y": 1}, aspects={"cubes": 2}, aspects_alone=alone)
    check.case("squares", z=np.array([1.5, 2.0]), cubed=False)
    check.case("cubes", aspect="cubes", z=np.array([1.5, 2.0]), cubed=True)
    assert check.grade() == points
    assert "y differs" in capsys.readouterr().out


def softmax_check(function, capsys):
    globals()["softmax"] = function
    check = Check(
        "softmax",
        lambda z: torch.softmax(z, -1),
        returns={"p": 2},
        aspects={"stays finite": 1},
    )
    check.case("a vector", z=np.array([0.3, -1.0, 2.0]))
    check.case("±1000", aspect="stays finite", warning_free=True, z=np.array([1000.0, -1000.0, 3]))
    return check.grade(), capsys.readouterr().out


def test_an_aspect_has_its_own_points(capsys):
    def naive(z):
        return np.exp(z) / np.exp(z).sum()

    def stable(z):
        return naive(z - z.max())

    assert softmax_check(stable, capsys)[0] == 3
    assert softmax_check(naive, capsys)[0] == 2
    assert softmax_check(lambda z: np.zeros(3), capsys)[0] == 0


@pytest.mark.parametrize(
    "loop",
    [
        lambda X, W: np.array([W @ x for x in X]),
        lambda X, W: np.array(list(map(lambda x: W @ x, X))),
        lambda X, W: np.apply_along_axis(lambda x: W @ x, 1, X),
        lambda X, W: np.vectorize(lambda x: W @ x, signature="(n)->(m)")(X),
    ],
)
def test_a_loop_over_samples_is_seen(loop, capsys):
    def grade(function):
        globals()["product"] = function
        check = Check("product", lambda X, W: X @ W.T, returns={"Z": 1}, aspects={"no loop": 1})
        rng = np.random.default_rng(0)
        W = rng.normal(size=(2, 3))
        check.case("batch", X=rng.normal(size=(4, 3)), W=W)
        check.no_python_loop(
            "rows",
            aspect="no loop",
            few={"X": rng.normal(size=(4, 3)), "W": W},
            many={"X": rng.normal(size=(64, 3)), "W": W},
        )
        return check.grade()

    assert grade(loop) == 1
    assert grade(lambda X, W: np.einsum("bi,oi->bo", X, W)) == 2
    assert grade(lambda X, W: np.stack([X @ row for row in W], axis=1)) == 2
    capsys.readouterr()


def test_a_probe_turns_an_object_into_arrays(capsys):
    class Doubler(torch.nn.Module):
        def forward(self, x):
            return 2 * x

    def probe(Doubler, x):
        return Doubler()(torch.tensor(x)).numpy()

    for made, points in ((Doubler, 1.0), (torch.nn.Identity, 0.0)):
        globals()["Doubler"] = made
        check = Check("Doubler", lambda x: 2 * x, returns={"y": 1}, probe=probe)
        check.case("a vector", x=np.array([1.0, -2.0]))
        assert check.grade() == points
    capsys.readouterr()


def test_a_twin_is_the_same_function_in_both_libraries(capsys):
    globals()["apply"] = lambda z, f: f(z)
    check = Check("apply", lambda z, f: f(z), returns={"a": 1})
    check.case("tanh", z=np.array([0.1, -2.0]), f=Twin(np.tanh, torch.tanh))
    assert check.grade() == 1
    capsys.readouterr()


@pytest.mark.parametrize(
    ("z", "a", "points"),
    [
        (np.array([-0.04, 0.08]), np.array([0.0, 0.08]), 2.0),
        ([-0.04, 0.08], (0, 0.08), 2.0),
        ([0.04, 0.08], [0.04, 0.08], 1.0),  # a follows from the student's own z
        ([0.04, 0.08], [0.5, 0.5], 0.0),
        (None, [0.0, 0.08], 1.0),
        ("words", [0.0, 0.08], 1.0),
    ],
)
def test_typed_numbers(z, a, points, capsys):
    globals()["z"], globals()["a"] = z, a

    def pytorch():
        z = torch.tensor([-0.04, 0.08], dtype=torch.float64)
        return z, torch.relu(z)

    check = Check(
        "z",
        pytorch,
        returns={"z": 1, "a": 1},
        typed=True,
        tolerance={"z": 1e-6, "a": 1e-6},
    )
    check.hidden.follow_through(a=lambda z: np.maximum(z, 0))
    check.case("the network above")
    assert check.grade() == points
    capsys.readouterr()


def one_argument(name, function, reference, cases, *, follow=None, **options):
    """Grade ``function`` under ``name`` on one array a case."""
    globals()[name] = function
    check = Check(name, reference, **options)
    check.hidden.follow_through(**follow or {})
    for number, value in enumerate(cases):
        check.case(f"case {number}", z=value)
    return check.grade(), check.diagnosis


def test_follow_through_survives_a_case_of_zeros():
    cases = [np.array([-1.0, 2.0, 3.0]), np.array([-1.0, -2.0, -3.0])]
    options = {"returns": {"a": 1, "twice": 1}, "follow": {"twice": lambda a: 2 * a}}

    def reference(z):
        return torch.relu(z), 2 * torch.relu(z)

    def student(z):
        a = 3 * np.maximum(z, 0)
        return a, 2 * a

    assert one_argument("doubled", student, reference, cases, **options)[0] == 1

    def silent(z):
        return 0 * z, 0 * z

    assert one_argument("doubled", silent, reference, cases, **options)[0] == 0


@pytest.mark.parametrize("student", [np.abs, lambda z: np.where(z < 0, 2 * z, z)])
def test_sign_and_factor_must_hold_in_every_case(student):
    cases = [np.array([-1.0, -2.0, -3.0]), np.array([1.0, 2.0, 3.0])]
    points, diagnosis = one_argument("same", student, lambda z: z, cases, returns={"a": 1})
    assert points == 0 and diagnosis is None


def test_float32_is_no_constant_factor():
    def student(z):
        return float(z.astype(np.float32).mean())

    cases = [np.array([0.1, 0.7, 0.3]) * k for k in (1.0, 1.3, 2.1)]
    points, diagnosis = one_argument("mean", student, lambda z: z.mean(), cases, returns={"m": 1})
    assert points == 0 and diagnosis is None


def test_a_factor_that_reads_as_one_is_not_told():
    cases = [np.array([0.1, 0.7, 0.3]) * k for k in (1.0, 1.3, 2.1)]
    for off, told in [(1 + 1e-5, False), (1.01, True)]:
        points, diagnosis = one_argument(
            "same", lambda z, off=off: off * z, lambda z: 1 * z, cases, returns={"a": 1}
        )
        assert points == 0 and (diagnosis is not None) == told


def test_a_view_is_not_named_as_the_reason_of_a_raise():
    def student(z):
        return z if len(z) == 1 else max(0.0, z)

    cases = [np.array([1.0]), np.array([1.0, 2.0])]
    points, diagnosis = one_argument("same", student, lambda z: 1 * z, cases, returns={"a": 1})
    assert points == 0 and diagnosis is None


def test_one_typed_word_does_not_name_a_mistake(bank, capsys):
    @bank("layer", "all-wrong", "Everything is the other way around.")
    def layer():
        return {"layer": "down", "other": "up"}

    def grade(layer, other):
        globals()["layer"], globals()["other"] = layer, other
        check = Check("layer", lambda: ("up", "down"), returns={"layer": 1, "other": 1}, typed=True)
        check.case("two words")
        check.grade()
        return check.diagnosis

    assert grade("down", "up").id == "layer/all-wrong"
    assert grade("down", "down") is None
    capsys.readouterr()


def test_huge_numbers_leave_nothing_on_stderr(capfd):
    globals()["layer"] = lambda z: np.where(z > 0, 1e308, -1e308)
    check = Check("layer", lambda z: 1e3 * z, returns={"a": 1})
    check.case("any", z=np.array([1.0, -2.0, 3.0]))
    check.case("more", z=np.array([1.0, -2.0, 3.0, 4.0]))
    assert check.grade() == 0
    assert capfd.readouterr().err == ""


def test_a_term_is_not_looked_for_in_a_function_of_one_array(capsys):
    globals()["layer"] = lambda z: np.maximum(0, -z)
    check = Check("layer", torch.relu, returns={"a": 1})
    check.case("one", z=np.array([1.0, -2.0, 3.0, 0.5]))
    check.case("two", z=np.array([[1.5, -2.5], [-3.0, 0.7]]))
    check.grade()
    assert check.diagnosis is None
    capsys.readouterr()


def test_a_wrong_function_that_is_called_is_named_first(capsys):
    def grade(name, reference):
        check = Check(name, reference, returns={"a": 1})
        check.case("one", z=np.array([1.0, -2.0, 3.0]))
        check.grade()
        return capsys.readouterr().out

    def outer(z):
        return [inner(v) for v in (z,)][0]  # noqa: F821

    hint = "It uses inner, which is not right yet: look there first."
    globals()["outer"], globals()["inner"] = outer, lambda z: z**3
    grade("inner", torch.relu)
    assert hint in grade("outer", torch.relu)
    globals()["inner"] = lambda z: np.maximum(z, 0)
    grade("inner", torch.relu)
    globals()["outer"] = lambda z: 0 * inner(z) + 7.5  # noqa: F821
    assert "look there first" not in grade("outer", torch.relu)


def test_a_right_number_is_no_proof_of_a_mistake(bank, capsys):
    @bank("layer", "one-more", "One is added.")
    def layer(z):
        return float(z.sum()), z + 1

    globals()["layer"] = lambda z: (np.sum(z), z * z)
    check = Check("layer", lambda z: (z.sum(), 2 * z), returns={"sum": 1, "a": 1})
    check.case("one", z=np.array([1.0, -2.0, 3.5]))
    check.grade()
    assert check.diagnosis is None
    capsys.readouterr()


def graded_power(function, capsys, **options):
    """Grade ``function`` as the exercise 'layer': e to the power of each number, with an aspect."""
    globals()["layer"] = function
    rng = np.random.default_rng(0)
    check = Check("layer", torch.exp, **{"returns": {"y": 2}, **options})
    for size in (3, 4):
        check.case(f"{size} numbers", x=rng.normal(size=size))
    for aspect in options.get("aspects", ()):
        check.case("a small number", aspect=aspect, x=np.array([-2000.0, 1.0]))
    return check.grade(), capsys.readouterr().out, check


def overflowing(x):
    return 1.0 / np.exp(-x)  # inf and a warning where -x is large


def test_a_wrong_formula_is_named_also_when_an_aspect_is_lost_too(bank, capsys):
    bank("layer", "one-too-much", "There is 1 too much.")(lambda x: np.exp(x) + 1)
    aspects = {"aspects": {"stays finite": 1}}
    points, _, check = graded_power(
        lambda x: np.where(x < -1000, np.nan, overflowing(x)) + 1, capsys, **aspects
    )
    assert points == 0 and check.diagnosis.id == "layer/one-too-much"
    points, _, check = graded_power(
        lambda x: -np.where(x < -1000, np.nan, overflowing(x)), capsys, **aspects
    )
    assert points == 0 and check.diagnosis.id == "general/sign"
    points, _, check = graded_power(
        lambda x: np.where(x < -1000, np.nan, np.exp(x)), capsys, **aspects
    )
    assert points == 2 and check.diagnosis is None


def test_a_mistake_is_named_within_the_tolerance_of_the_check(bank, capsys):
    bank("layer", "twice", "This is twice too large.")(lambda x: 2 * np.exp(x))
    bank("layer", "nearly-nothing", "This is nearly zero.")(lambda x: 1e-5 * np.exp(x))
    options = {"tolerance": {"y": 1e-3}}

    def named(function):
        _, _, check = graded_power(function, capsys, **options)
        return check.diagnosis.id if check.diagnosis else None

    assert named(lambda x: 2 * np.exp(x) + 1e-4) == "layer/twice"
    assert named(lambda x: 2 * np.exp(x) + 1e-2) is None
    # Both are within the tolerance of zero, so they prove nothing about each other.
    assert named(np.zeros_like) is None
    assert named(lambda x: 1e-5 * np.exp(x)) == "layer/nearly-nothing"


def test_a_changed_input_does_not_cost_an_aspect_too(capsys):
    def in_place(x):
        np.exp(x, out=x)
        return x.copy()

    points, text, check = graded_power(in_place, capsys, aspects={"stays finite": 1})
    assert points == 2 * 0.5 + 1 and check.diagnosis.id == "general/input-changed"


def test_a_mean_over_the_entries_of_one_vector_is_not_called_a_mean_over_samples(capsys):
    _, text, check = graded_power(lambda x: np.exp(x) / len(x), capsys)
    assert check.diagnosis.id == "general/mean-for-sum"
    assert "divided by len(x)." in text and "samples" not in text


# ---------------------------------------------------------------------------- separate results


def two_copies(dout, make, capsys):
    """Grade ``make`` as an exercise that returns two arrays which must share no memory."""
    globals()["layer"] = make
    check = Check(
        "layer", lambda dout: (1 * dout, 1 * dout), returns={"da": 1, "db": 1}, separate=True
    )
    check.case("any", dout=dout)
    return check.grade(), capsys.readouterr().out, check


@pytest.mark.parametrize(
    "make",
    [
        lambda dout: (dout.copy(),) * 2,
        lambda dout: (lambda a: (a, a[:]))(dout.copy()),
        lambda dout: tuple(np.broadcast_to(dout.copy(), (2, *dout.shape))),
        lambda dout: (lambda a: [a, a.reshape(dout.shape)])(dout.copy()),
    ],
)
def test_results_in_one_memory_cost_half_of_the_points(make, capsys):
    points, text, check = two_copies(np.arange(6.0).reshape(2, 3), make, capsys)
    assert points == 1
    assert text.splitlines()[0] == "layer: da and db share one memory; the numbers are right."
    assert check.diagnosis.id == "general/one-memory"


@pytest.mark.parametrize(
    "make",
    [
        lambda dout: (dout.copy(), dout.copy()),
        lambda dout: tuple(np.stack([dout, dout])),
        # The bounds of these two overlap, and they have no number in common.
        lambda dout: tuple(np.moveaxis(np.stack([dout, dout], axis=-1), -1, 0)),
    ],
)
def test_parts_of_one_array_are_separate_where_no_number_is_shared(make, capsys):
    points, _, check = two_copies(np.arange(6.0).reshape(2, 3), make, capsys)
    assert (points, check.diagnosis) == (2, None)


def test_without_the_option_results_may_share_memory(capsys):
    globals()["layer"] = lambda dout: (dout.copy(),) * 2
    check = Check("layer", lambda dout: (1 * dout, 1 * dout), returns={"da": 1, "db": 1})
    check.case("any", dout=np.ones(3))
    assert check.grade() == 2


def test_a_record_is_told_from_another_by_shared_memory(bank, capsys):
    @bank("layer", "one-copy", "One copy stands for both.")
    def layer(dout):
        copy = dout.copy()
        return copy, copy

    @bank("layer", "no-copy", "No copy was made.")
    def layer(dout):
        return dout, dout

    dout = np.arange(3.0)
    assert two_copies(dout, lambda d: (d.copy(),) * 2, capsys)[2].diagnosis.id == "layer/one-copy"
    assert two_copies(dout, lambda d: (d, d), capsys)[2].diagnosis.id == "layer/no-copy"


def test_separate_is_for_one_function():
    with pytest.raises(ValueError, match="one function"):
        Check("layer", lambda x: x, returns={"y": 1}, backward="layer_backward", separate=True)


def test_a_method_of_an_earlier_class_that_is_not_written_is_named(capsys):
    class Idle:
        def __init__(self, z):
            self.z = z

        def work(self):
            raise NotImplementedError

    class Nothing:
        def __init__(self, z):
            raise NotImplementedError

    def outer(z):
        return Machine(z).work()  # noqa: F821

    globals()["outer"] = outer
    for made, first in (
        (Idle, "outer uses Machine.work, which is not written yet."),
        (Nothing, "outer uses Machine, which is not written yet."),
    ):
        globals()["Machine"] = made
        check = Check("outer", torch.relu, returns={"a": 1})
        check.case("one", z=np.array([1.0, -2.0]))
        assert check.grade() == 0.0
        assert capsys.readouterr().out.splitlines()[0] == first
    del globals()["outer"], globals()["Machine"]


def test_a_wrong_word_is_shown_beside_the_right_one(capsys):
    globals()["outer"] = lambda z: "odd"
    check = Check("outer", lambda z: "even", returns={"word": 1})
    check.case("one", z=np.array([1.0, -2.0]))
    assert check.grade() == 0.0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == ["outer: word is wrong.", "  got      'odd'", "  expected 'even'"]
    del globals()["outer"]


def test_a_value_that_is_none_beside_another_does_not_ask_for_a_return(capsys):
    for names, returned, asked in [
        ({"a": 1}, None, True),
        ({"a": 1, "b": 1}, (1.0, None), False),
    ]:
        globals()["outer"] = lambda z, returned=returned: returned
        right = torch.tensor(1.0).double()
        expected = (right,) * len(names) if len(names) > 1 else right
        check = Check("outer", lambda z, expected=expected: expected, returns=names)
        check.case("one", z=np.array([1.0, -2.0]))
        check.grade()
        out = capsys.readouterr().out
        assert "is None." in out and ("return statement" in out) is asked
    del globals()["outer"]


def test_the_methods_of_a_class_of_another_process_are_known(capsys):
    class Away:
        def __init__(self, *names):
            self.names_used = names

        def __call__(self, z):
            raise NotImplementedError

    def work(z):
        raise NotImplementedError

    for outer, machine, first in (
        (("Machine", "work"), (".work",), "outer uses Machine.work, which is not written yet."),
        (("work",), (), "outer is not written yet: it raises NotImplementedError."),
    ):
        globals()["outer"], globals()["Machine"] = Away(*outer), Away(*machine)
        check = Check("outer", torch.relu, returns={"a": 1}, probe=lambda outer, z: work(z))
        check.case("one", z=np.array([1.0, -2.0]))
        assert check.grade() == 0.0
        assert capsys.readouterr().out.splitlines()[0] == first
    del globals()["outer"], globals()["Machine"]


def by_entries(function, capsys, **options):
    """Grade ``function`` as an exercise that returns a dict of four entries, worth 2 points."""
    globals()["four"] = function

    def pytorch(x):
        return x.sum(), {"a": x + 1, "b": x + 2, "c": x + 3, "d": x + 4}

    check = Check("four", pytorch, returns={"s": 1, "entries": 2}, **options)
    for size in (3, 4):
        check.case(f"{size} numbers", x=np.arange(size) + 0.5)
    return check.grade(), capsys.readouterr().out


@pytest.mark.parametrize(
    ("entries", "points", "line"),
    [
        (lambda x: {"a": x + 1, "b": x, "c": x + 3, "d": x + 4}, 2.5, "3 of 4 entries"),
        (lambda x: {"a": x + 1, "b": x}, 1.5, "1 of 4 entries"),
        (lambda x: {"a": x + 1, "b": x + len(x) - 1, "c": 1.0, "d": None}, 1.5, "1 of 4 entries"),
        (lambda x: {}, 1.0, "0 of 4 entries"),
        (lambda x: [x + 1, x + 2, x + 3, x + 4], 1.0, "0 of 4 entries"),
    ],
)
def test_the_points_of_a_dict_can_be_shared_out_among_its_entries(entries, points, line, capsys):
    got, text = by_entries(lambda x: (x.sum(), entries(x)), capsys, by_entry=["entries"])
    assert (got, type(got)) == (points, float)
    assert f"  {line} of entries are right in every case." in text.splitlines()
    # Otherwise a dict is right or wrong as a whole.
    assert by_entries(lambda x: (x.sum(), entries(x)), capsys)[0] == 1.0


def test_a_dict_that_is_right_gets_all_points_and_no_line_about_entries(capsys):
    def four(x):
        return x.sum(), {"a": x + 1, "b": x + 2, "c": x + 3, "d": x + 4}

    points, text = by_entries(four, capsys, by_entry=["entries"])
    assert points == 3.0 and "entries" not in text


def test_a_function_that_raises_gets_nothing_for_entries(capsys):
    def four(x):
        return x.sum(), {"a": x + 1} if len(x) == 3 else x[99]

    assert by_entries(four, capsys, by_entry=["entries"])[0] == 0.0


def test_what_is_shared_out_must_be_a_quantity():
    with pytest.raises(ValueError, match="names what is no quantity"):
        Check("four", lambda x: x, returns={"s": 1}, by_entry=["entries"])


def test_what_is_not_a_number_and_stays_so_is_no_change(capsys):
    globals()["layer"] = lambda X, b: b + 1
    check = Check("layer", lambda X, b: b + 1, returns={"Z": 2})
    check.case("an input that is not a number", X=np.full((2, 3), np.nan), b=np.ones(2))
    assert check.grade() == 2.0 and "changes" not in capsys.readouterr().out
