"""What the end-to-end tests count with: check() after check(), then finish() or run_tests()."""
import shutil

passed = failed = 0


def check(name, fine, detail=""):
    """Prints a line only when it is not `fine`"""
    global passed, failed
    passed, failed = passed + bool(fine), failed + (not fine)
    if not fine:
        print(f"FAIL {name}: {detail}", flush=True)


def finish():
    """Prints "N passed, N failed"; the exit status"""
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def run_tests(tests, scratch):
    """Each test, even when another one broke off; then the folder `scratch` goes."""
    try:
        for test in tests:
            try:
                test()
            except Exception as caught:  # the rest still says what it has to say
                check(test.__name__, False, f"{type(caught).__name__}: {caught}")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return finish()
