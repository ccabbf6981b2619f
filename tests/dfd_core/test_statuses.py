from dfd_core import statuses


def test_every_status_has_a_meaning():
    constants = {value for name, value in vars(statuses).items() if name.isupper() and isinstance(value, str)}
    assert constants == set(statuses.STATUSES)
    assert all(statuses.STATUSES.values())
