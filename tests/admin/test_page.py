"""The status page in Chromium: it sees a session appear and work, ends it, and explains errors."""

import contextlib
import os
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pymysql
import pytest
from playwright.sync_api import Page, Route, expect

from kit.admin import (
    HOSTILE,
    PASSWORD,
    Admin,
    RunningProxy,
    account_text,
    embedded,
    eventually,
    proxy_with_admin,
    running_rds,
    target_text,
)
from kit.browser import DESKTOP, PHONE, Scheme, need_chromium, open_page
from rds_iam_proxy.commands.demo.postgres.rds import EmbeddedPostgres
from rds_iam_proxy.commands.demo.rds import EmbeddedRDS
from rds_iam_proxy.net.address import Address

LEDGER = Address("ledger.c0000000000.eu-central-1.rds.amazonaws.com", 5432)
REPORTS = Address("reports.cluster-ro-c0000000000.eu-central-1.rds.amazonaws.com", 3306)
SHOTS = os.environ.get("SCREENSHOTS")
"""A folder that gets a picture of each state; docs/ has them."""

LOOKS: tuple[tuple[str, tuple[int, int], Scheme], ...] = (
    ("light", DESKTOP, "light"),
    ("dark", DESKTOP, "dark"),
    ("phone", PHONE, "light"),
)

pytestmark = pytest.mark.timeout(180)
expect.set_options(timeout=20_000)  # milliseconds, for a busy machine


@pytest.fixture(scope="module", autouse=True)
def _chromium() -> None:
    need_chromium()


@pytest.fixture
def running(rds: EmbeddedRDS, tmp_path: Path) -> Iterator[tuple[RunningProxy, Admin]]:
    config = target_text("shop", rds) + account_text("legacy_app") + account_text("nightly")
    with proxy_with_admin(rds, config, tmp_path) as (proxy, admin):
        eventually(lambda: admin.code("/readiness") == 200)
        yield proxy, admin


def shoot(page: Page, name: str) -> None:
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"status-page-{name}.png", full_page=page.viewport_size != _as_size(PHONE))


def _as_size(size: tuple[int, int]) -> object:
    return {"width": size[0], "height": size[1]}


def test_a_session_appears_works_and_is_ended(running: tuple[RunningProxy, Admin]) -> None:
    proxy, admin = running
    with open_page(admin.url) as page:
        expect(page.locator("#state")).to_have_text("ready")
        expect(page.locator("#no-sessions")).to_be_visible()
        expect(page.locator("#no-errors")).to_be_visible()
        shoot(page, "nobody")
        with contextlib.closing(proxy.connect(program_name="MySQLWorkbench")) as session:
            row = page.locator("#sessions tr")
            expect(row).to_have_count(1)
            expect(row).to_contain_text("legacy_app")
            expect(row).to_contain_text("MySQLWorkbench")
            expect(row).to_contain_text("127.0.0.1")
            doing = row.locator(".doing")
            expect(doing).to_have_attribute("data-activity", "idle")
            query = threading.Thread(target=session.cursor().execute, args=("SELECT SLEEP(3)",))
            query.start()
            expect(doing).to_have_attribute("data-activity", "running")
            query.join()
            expect(doing).to_have_attribute("data-activity", "idle")

            row.get_by_role("button").click()
            dialog = page.get_by_role("dialog")
            expect(dialog).to_contain_text("legacy_app from 127.0.0.1 (MySQLWorkbench)")
            dialog.get_by_label("Admin token").fill("not the token of it")
            dialog.get_by_role("button", name="End session").click()
            expect(page.locator("#ask-fault")).to_have_text("That is not the token of this proxy.")
            shoot(page, "asks-for-the-token")
            dialog.get_by_label("Admin token").fill(admin.token)
            page.keyboard.press("Enter")
            expect(dialog).to_be_hidden()
            expect(row).to_have_count(0)
            with pytest.raises(pymysql.err.MySQLError):
                session.ping(reconnect=False)


def test_a_running_command_is_cut_with_the_token_that_is_known(running: tuple[RunningProxy, Admin]) -> None:
    proxy, admin = running
    failures: list[Exception] = []

    def work(session: "pymysql.connections.Connection[pymysql.cursors.Cursor]") -> None:
        try:
            session.cursor().execute("SELECT SLEEP(60)")
        except pymysql.err.MySQLError as exc:
            failures.append(exc)

    with open_page(admin.url, token=admin.token) as page, contextlib.closing(proxy.connect()) as session:
        query = threading.Thread(target=work, args=(session,))
        query.start()
        row = page.locator("#sessions tr")
        expect(row.locator(".doing")).to_have_attribute("data-activity", "running")
        row.get_by_role("button").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("is cut off")
        expect(dialog.get_by_label("Admin token")).to_be_hidden()
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        expect(row).to_have_count(1)
        row.get_by_role("button").click()
        dialog.get_by_role("button", name="End session").click()
        expect(row).to_have_count(0)
        query.join(10)
        assert len(failures) == 1


def test_errors_are_explained_and_hostile_names_are_text(running: tuple[RunningProxy, Admin]) -> None:
    proxy, admin = running
    for user in ("legacy_app", "legacy_app", "nobody", HOSTILE):
        with pytest.raises(pymysql.err.OperationalError):
            proxy.connect(user=user, password="wrong")
    with open_page(admin.url) as page, contextlib.closing(proxy.connect(program_name=HOSTILE)):
        errors = page.locator("#errors li")
        expect(errors).to_have_count(3)
        expect(errors.nth(0)).to_contain_text("1045 unknown user")
        expect(errors.nth(0)).to_contain_text("<img src=x")
        expect(errors.nth(2)).to_contain_text("2 times")
        expect(errors.nth(2)).to_contain_text("Access denied for user 'legacy_app'@'localhost'")
        expect(errors.nth(0).locator(".explanation")).to_contain_text("Log in as --user")
        expect(errors.nth(0).locator(".explanation")).to_contain_text("no account of that name")
        expect(errors.nth(1).locator(".explanation")).to_be_hidden()
        expect(errors.nth(2).locator(".explanation")).to_contain_text("Log in as --user")
        expect(page.locator("#sessions tr")).to_contain_text("<img src=x")
        assert page.title() == "rds-iam-proxy"
        assert page.locator("main img").count() == 0


def test_marks_of_an_explanation_are_shown_as_what_they_mean(running: tuple[RunningProxy, Admin]) -> None:
    proxy, admin = running

    def explained(route: Route) -> None:
        answer = route.fetch()
        status = answer.json()
        for error in status["errors"]:
            error["cause"] = "Here *connecting* is meant, **not** `dial = *`."
        route.fulfill(response=answer, json=status)

    with open_page(admin.url) as page:
        expect(page.locator("#state")).to_have_text("ready")
        page.route("**/status?*", explained)
        with pytest.raises(pymysql.err.OperationalError):
            proxy.connect(password="wrong")
        shown = page.locator("#errors .explanation")
        expect(shown).to_contain_text("Here connecting is meant, not dial = *.")
        expect(shown.locator("em")).to_have_text("connecting")
        expect(shown.locator("strong")).to_have_text("not")


def test_one_of_many_sessions_is_found_and_errors_are_not_below_them(running: tuple[RunningProxy, Admin]) -> None:
    proxy, admin = running
    with pytest.raises(pymysql.err.OperationalError):
        proxy.connect(password="wrong")
    with contextlib.ExitStack() as stack:
        for number in range(30):
            user, program = ("nightly", "mysqldump") if number == 3 else ("legacy_app", "php-fpm")
            stack.enter_context(contextlib.closing(proxy.connect(user=user, program_name=program)))
        with open_page(admin.url) as page:
            rows = page.locator("#sessions tr")
            expect(rows).to_have_count(20)
            places = [page.locator(f"#{name}-title").bounding_box() for name in ("targets", "errors", "sessions")]
            assert [place["y"] for place in places if place] == sorted(place["y"] for place in places if place)
            page.get_by_role("button", name="Show 10 more sessions").click()
            expect(rows).to_have_count(30)
            page.get_by_role("searchbox").fill("NIGHTLY")
            expect(rows).to_have_count(1)
            expect(rows).to_contain_text("mysqldump")
            expect(page.locator("#sessions-count")).to_have_text("1 of 30")
            (dump,) = admin.json("/status?find=nightly")["sessions"]
            expect(rows).to_contain_text(f"{dump['id']}RDS {dump['rds_connection_id']}")
            expect(rows).to_contain_text(f"127.0.0.1:{dump['port']}")
            page.get_by_role("searchbox").fill("nobody like that")
            expect(page.locator("#no-sessions")).to_have_text("No session like that.")
            page.get_by_role("searchbox").fill("")
            page.get_by_role("combobox").select_option("oldest")
            expect(rows.nth(3)).to_contain_text("mysqldump")


def test_it_says_when_the_proxy_is_gone(running: tuple[RunningProxy, Admin]) -> None:
    proxy, admin = running
    with open_page(admin.url, may_complain=True) as page:
        expect(page.locator("#state")).to_have_text("ready")
        assert proxy.stop() == 0
        expect(page.locator("#lost")).to_contain_text("No answer from the proxy since")
        expect(page.locator("#state")).to_have_text("no answer")
        shoot(page, "no-answer")


@pytest.mark.timeout(600)
def test_a_busy_proxy_with_a_target_down(rds: EmbeddedRDS, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        other = stack.enter_context(running_rds(endpoint=REPORTS))
        ledger = stack.enter_context(embedded(EmbeddedPostgres, endpoint=LEDGER, keys=rds.keys))
        config = (
            "[fleet]\nsize = 2\n"
            + target_text("shop", rds, more="logins_per_second = 10\nlogin_burst = 10\nlogin_wait = 3")
            + target_text("ledger", ledger)
            + target_text("reports", other, dial=Address("127.0.0.1", 1))
            + account_text("legacy_app")
            + account_text("nightly")
        )
        proxy, admin = stack.enter_context(proxy_with_admin(rds, config, tmp_path))
        eventually(lambda: admin.code("/startup") == 200)
        doors = {door["target"]: int(door["address"].rpartition(":")[2]) for door in admin.json("/status")["listeners"]}
        stack.enter_context(contextlib.closing(proxy.connect(program_name="MySQLWorkbench")))
        for port, password in ((doors["shop"], "wrong"), (doors["reports"], proxy.password)):
            with pytest.raises(pymysql.err.OperationalError):
                proxy.connect(port=port, password=password)
        where = f"host=127.0.0.1 port={doors['ledger']} user=nightly dbname=shop application_name=booking"
        stack.enter_context(psycopg.connect(where, password=proxy.password)).execute("SELECT 1")
        crowd = stack.enter_context(coming_and_going(proxy))
        with open_page(admin.url) as page:
            expect(page.locator("#state")).to_have_text("not ready")
            open_transaction = page.locator("#sessions tr", has_text="booking")
            expect(open_transaction.locator(".doing")).to_have_text(re.compile("in transaction [1-9]"))
            open_transaction.get_by_role("button").click()
            expect(page.get_by_role("dialog")).to_contain_text("Its transaction is open")
            page.keyboard.press("Escape")
            expect(page.locator("[data-target=ledger] .more")).to_contain_text("PostgreSQL ")
            expect(page.locator("#targets")).not_to_contain_text("throttles")
            expect(page.locator("#budgets")).to_contain_text("this proxy has 5 of 10 logins/s, one of 2 in the fleet")
            crowd.come(40)
            expect(page.locator("[data-activity^=waiting]").first).to_be_visible()
            expect(page.locator("[data-target=shop] .badge")).to_have_text("ready")
            down = page.locator("[data-target=reports]")
            expect(page.locator("#targets article").first).to_have_attribute("data-target", "reports")
            expect(page.locator("#targets-down")).to_have_text("1 of 3 down")
            expect(down.locator(".badge")).to_have_text("down")
            expect(down.locator(".why")).to_contain_text("check that the tunnel runs")
            expect(page.locator("#errors li", has_text="1040 limited").first).to_be_visible()
            expect(page.locator("[data-target=shop] .chart").first).to_contain_text("refused")
            if SHOTS:
                for number in range(100):
                    crowd.come(24 if number % 23 == 0 else number % 11)
                    page.wait_for_timeout(2800)
        for name, size, scheme in LOOKS:
            with open_page(admin.url, size=size, scheme=scheme) as page:
                crowd.come(18)
                expect(page.locator("[data-activity=running]").first).to_be_visible()
                fits = page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
                assert fits, "nothing sticks out at the side"
                shoot(page, name)
                if size == PHONE:
                    page.evaluate("document.querySelector('#sessions-title').scrollIntoView()")
                    shoot(page, f"{name}-sessions")


def test_a_refused_reload_is_a_banner_until_one_works(rds: EmbeddedRDS, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.touch(mode=0o600)
    password.write_text(PASSWORD)
    account = account_text("legacy_app").replace(
        'password_env = "LEGACY_APP_PASSWORD"', f'password_file = "{password}"'
    )
    with (
        proxy_with_admin(rds, target_text("shop", rds) + account, tmp_path) as (proxy, admin),
        open_page(admin.url) as page,
    ):
        expect(page.locator("#state")).to_have_text("ready")
        expect(page.locator("#reload")).to_be_hidden()
        password.chmod(0o644)
        proxy.process.send_signal(signal.SIGHUP)
        expect(page.locator("#reload")).to_contain_text(
            "was refused; all stayed as it was: 1st [[accounts]] (user legacy_app)"
        )
        assert "rds_iam_proxy_last_reload_successful 0.0" in admin.ask("/metrics")[2]
        password.chmod(0o600)
        proxy.process.send_signal(signal.SIGHUP)
        expect(page.locator("#reload")).to_be_hidden()
        assert "rds_iam_proxy_last_reload_successful 1.0" in admin.ask("/metrics")[2]


class Crowd:
    """Clients that log in, work a little, and leave."""

    def __init__(self, proxy: RunningProxy) -> None:
        self._proxy = proxy
        self._threads: list[threading.Thread] = []

    def come(self, count: int) -> None:
        for number in range(count):
            thread = threading.Thread(target=self._work, args=(number,))
            thread.start()
            self._threads.append(thread)

    def leave(self) -> None:
        for thread in self._threads:
            thread.join()

    def _work(self, number: int) -> None:
        user, program = ("nightly", "mysqldump") if number % 4 == 0 else ("legacy_app", "php-fpm")
        with (
            contextlib.suppress(pymysql.err.OperationalError),
            contextlib.closing(self._proxy.connect(user=user, program_name=program)) as session,
        ):
            session.cursor().execute(f"SELECT SLEEP({number % 3 + 1})")


@contextlib.contextmanager
def coming_and_going(proxy: RunningProxy) -> Iterator[Crowd]:
    crowd = Crowd(proxy)
    try:
        yield crowd
    finally:
        crowd.leave()
