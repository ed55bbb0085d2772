import psycopg
import pytest
import sqlalchemy as sa

from tests.services.process import wait_until
from tests.services.servers import PostgresServer, RedisServer, fresh_database


def run(url: str, *statements: str) -> list[object]:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        results = [connection.exec_driver_sql(statement) for statement in statements]
        return list(results[-1].scalars()) if results[-1].returns_rows else []


def test_postgres_is_real(postgres_url: str) -> None:
    [version] = run(postgres_url, "SHOW server_version_num")
    assert int(str(version)) >= 16_00_00


def test_each_fresh_database_is_empty_and_utf8(postgres: PostgresServer) -> None:
    for _ in range(2):
        with fresh_database(postgres) as url:
            run(url, "CREATE TABLE t (x text)", "INSERT INTO t VALUES ('Straße ☕')")
            assert run(url, "SELECT x FROM t") == ["Straße ☕"]


def test_a_fresh_database_goes_even_while_somebody_is_connected(postgres: PostgresServer) -> None:
    with fresh_database(postgres) as url:
        name = str(sa.make_url(url).database)
        connection = postgres.connect(name)
    with pytest.raises(psycopg.OperationalError):
        postgres.connect(name)
    connection.close()


def test_a_template_is_prepared_once(postgres: PostgresServer) -> None:
    prepared = []

    def prepare(url: str) -> None:
        prepared.append(url)
        run(url, "CREATE TABLE filled AS SELECT 42 AS answer")

    for _ in range(2):
        with fresh_database(postgres, template=postgres.template("template_test", prepare)) as url:
            assert run(url, "SELECT answer FROM filled") == [42]
    assert len(prepared) == 1


def test_postgres_killed_keeps_what_it_acknowledged(postgres: PostgresServer) -> None:
    with fresh_database(postgres) as url:
        run(url, "CREATE TABLE kept AS SELECT 1 AS n")
        postgres.process.kill()
        with pytest.raises(sa.exc.OperationalError):
            run(url, "SELECT 1")
        postgres.process.start()
        assert run(url, "SELECT n FROM kept") == [1]


def test_redis_is_real_and_forgets_when_killed(redis: RedisServer) -> None:
    from redis import Redis

    redis.flush()
    with Redis.from_url(redis.url()) as client:
        client.set("k", "v")
        assert client.get("k") == b"v"
        redis.process.kill()
        redis.process.start()
        wait_until(client.ping)
        assert client.get("k") is None


def test_redis_url_starts_empty(redis_url: str) -> None:
    from redis import Redis

    with Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0


def test_database_url_runs_on_both(database_url: str, dialect: str) -> None:
    assert sa.make_url(database_url).get_backend_name() == dialect
    run(database_url, "CREATE TABLE t (x integer)", "INSERT INTO t VALUES (1)")
    assert run(database_url, "SELECT x FROM t") == [1]


def test_service_mark_is_set_by_what_a_test_uses(request: pytest.FixtureRequest) -> None:
    marked = {
        item.name: item.get_closest_marker("service") is not None
        for item in request.session.items
        if item.path == request.path
    }
    expected = {
        "test_postgres_is_real": True,
        "test_redis_url_starts_empty": True,
        "test_database_url_runs_on_both[sqlite]": False,
        "test_database_url_runs_on_both[postgresql]": True,
    }
    for name, mark in expected.items():
        assert marked.get(name, mark) == mark, name
