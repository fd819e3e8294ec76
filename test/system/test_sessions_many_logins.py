"""Many logins and drops leave no ghosts, zombies, descriptors or rows. bench/run logins does 200 of them."""
import pytest

import logins

LOGINS = 40


@pytest.mark.shapes
def test_many_logins_and_drops_leave_nothing(make_daemon, users):
    d = make_daemon(MAX_SESSIONS_PER_USER="50", MAX_CONCURRENT_SESSIONS="100")
    people = users(logins.PEOPLE, d)
    took, active, early = logins.run(d, people, LOGINS)
    print(f"{active + early} logins in {took:.0f} s")
    assert active == early == LOGINS / 2
