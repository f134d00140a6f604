"""Waters of a neutron model that lack hydrogens: told, and scattering as if these turned freely."""

import numpy as np
import pytest
from small_models import one_chain

from gpurefine.config import ChemistryOptions, Config, DataOptions
from gpurefine.errors import UsageError
from gpurefine.io.deuterium import find_deuterium_sites
from gpurefine.io.scattering import OXYGEN_HYDROGEN, neutron_gaussians, water_name, water_parts
from gpurefine.io.source import resolved
from gpurefine.io.structure import structure_crystal
from gpurefine.io.topology import build_model
from gpurefine.io.water_hydrogens import solvent_deuterium

GLYCINE = [
    ("GLY", 1, "N", "N", "\0", 1.0, (0.0, 0.0, 0.0)), ("GLY", 1, "CA", "C", "\0", 1.0, (1.458, 0.0, 0.0)),
    ("GLY", 1, "C", "C", "\0", 1.0, (2.009, 1.42, 0.0)), ("GLY", 1, "O", "O", "\0", 1.0, (1.251, 2.39, 0.0)),
    ("GLY", 1, "HA2", "H", "\0", 1.0, (1.82, -0.52, 0.90)), ("GLY", 1, "HA3", "H", "\0", 1.0, (1.82, -0.52, -0.90)),
]  # fmt: skip
BARE = [("DOD", 2, "O", "O", "\0", 1.0, (5.0, 5.0, 5.0))]
HALF = [("DOD", 3, "O", "O", "\0", 1.0, (9.0, 5.0, 5.0)), ("DOD", 3, "D1", "D", "\0", 1.0, (9.9, 5.2, 5.1))]
WHOLE = [
    ("DOD", 4, "O", "O", "\0", 1.0, (5.0, 9.0, 5.0)), ("DOD", 4, "D1", "D", "\0", 1.0, (5.9, 9.2, 5.1)),
    ("DOD", 4, "D2", "D", "\0", 1.0, (4.6, 9.8, 5.3)),
]  # fmt: skip


def built(rows, turning=True):
    st = one_chain(rows)
    options = ChemistryOptions(hydrogens="keep", turning_waters=turning)
    return build_model(st, structure_crystal(st), options, "neutron")


def names(model):
    return {
        label: model.atoms.scatterer_names[k] for label, k in zip(model.labels, model.atoms.scatterer, strict=True)
    }


def test_form_factor_is_that_of_hydrogens_on_a_sphere() -> None:
    """At low resolution the mean over directions of exp(2πi s·r); at s = 0 the molecule's scattering length."""
    assert [water_name(n, f) for n, f in ((0, 1.0), (2, 1.0), (1, 0.39))] == ["O", "O+2D", "O+1D0.39"]
    parts = [water_parts(n) for n in ("O", "O+2D", "O+1D0.39", "O+2H", "D0.39")]
    assert parts == [None, (2, 1.0), (1, 0.39), (2, 0.0), None]
    a, b = neutron_gaussians(["O+2D", "O", "D", "O+1D0.39", "H"])
    assert a[0].sum() == pytest.approx(a[1, 0] + 2.0 * a[2, 0])
    assert a[3, 1] == pytest.approx(0.39 * a[2, 0] + 0.61 * a[4, 0]) and b[0, 0] == 0.0
    s = np.array([0.05, 0.1, 0.2])
    node, weight = np.polynomial.legendre.leggauss(40)
    turned = 0.5 * np.cos(2.0 * np.pi * np.outer(s, node) * OXYGEN_HYDROGEN) @ weight
    np.testing.assert_allclose(np.exp(-0.25 * b[0, 1] * s**2), turned, atol=0.02)
    # no such water: nuclei are points
    assert neutron_gaussians(["O", "D"])[0].shape == (2, 1)


def test_oxygens_have_what_their_water_lacks() -> None:
    model = built([*GLYCINE, *BARE, *HALF, *WHOLE])
    found = names(model)
    assert [found[f"A/{n}/DOD/O"] for n in (2, 3, 4)] == ["O+2D", "O+1D", "O"] and found["A/1/GLY/O"] == "O"
    assert any("2 waters lack hydrogens" in text and "part 1.00" in text for text in model.messages)
    # what they carry still exchanges
    sites = find_deuterium_sites(model, None)[1]
    assert len(sites.atom) == 3


def test_isotope_is_the_models() -> None:
    amide = ("GLY", 1, "D", "D", "\0", 1.0, (-0.5, 0.87, 0.0))
    assert solvent_deuterium(one_chain([*GLYCINE, *BARE, *HALF])) == 1.0
    assert solvent_deuterium(one_chain([*GLYCINE, amide, *BARE])) == 1.0
    assert solvent_deuterium(one_chain([*GLYCINE, (*amide[:2], "H", "H", *amide[4:]), *BARE])) == 0.0


def test_oxygens_scatter_alone_where_nothing_is_known_or_asked() -> None:
    rows = [*GLYCINE, *BARE, *HALF]
    assert names(built(rows, turning=False))["A/2/DOD/O"] == "O"
    model = built([*GLYCINE, *BARE])
    assert solvent_deuterium(one_chain([*GLYCINE, *BARE])) is None
    assert names(model)["A/2/DOD/O"] == "O"
    assert any("nothing is known of the solvent's isotope" in text for text in model.messages)


def config(source, hydrogens):
    chemistry = ChemistryOptions(hydrogens=hydrogens, turning_waters=True)
    return Config("m", "d", "p", data=DataOptions(source=source), chemistry=chemistry)


@pytest.mark.parametrize(("source", "hydrogens"), [("xray", "auto"), ("neutron", "add"), ("electron", "keep")])
def test_only_for_the_hydrogens_of_a_neutron_model(source, hydrogens) -> None:
    with pytest.raises(UsageError, match="--turning-waters is for neutrons and the model's own hydrogens"):
        resolved(config(source, hydrogens), one_chain([*GLYCINE, *BARE, *HALF]))
    assert resolved(config("neutron", "auto"), one_chain([*GLYCINE, *BARE, *HALF]))[0].chemistry.hydrogens == "keep"
