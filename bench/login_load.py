"""Many logins and drops of real clients. What is left of them is checked as in test/system/test_sessions_many_logins.py, so that the measurement fails if anything is."""
from measure import daemon, row
import accounts
import logins as load

LOGINS = 200
PEOPLE = 10  # logins at a time


def logins():
    """Half of the clients are killed in the middle of the login, the others when their session is active."""
    d, pool = daemon(MAX_SESSIONS_PER_USER="50", MAX_CONCURRENT_SESSIONS="100", LOG_LEVEL="WARNING"), accounts.Pool()
    try:
        d.accounts = pool.get(PEOPLE)
        took, active, early = load.run(d, d.accounts, LOGINS)
        row(f"{active + early} logins and drops, {early} of them dropped in the login", f"{took:.0f} s", "nothing left behind", "60 s")
        d.end()
    finally:
        d.end(check=False)
        pool.remove()


LOGIN_LOAD = (logins,)
