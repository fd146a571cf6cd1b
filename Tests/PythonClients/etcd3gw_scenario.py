"""Drives a cluster with etcd3gw, which speaks JSON to the gateway: usage: etcd3gw_scenario.py FOLDER HOST...

FOLDER holds ca.pem. The cluster is empty and has no users; so it is left. Says which steps it has taken; what is not as
it must be ends it with an assertion.
"""

import base64
import sys
import threading

import etcd3gw
from etcd3gw import exceptions
from etcd3gw.utils import _encode

folder, hosts = sys.argv[1], sys.argv[2:]


def client(host):
    # Without a path of its own, it asks for the version first.
    return etcd3gw.client(host=host, protocol="https", ca_cert=f"{folder}/ca.pem", timeout=10, api_path=None)


clients = [client(host) for host in hosts]
first, second, third = clients


def keys_and_ranges():
    assert first.put("/keys/a", "1")
    assert second.get("/keys/a") == [b"1"]
    value, metadata = third.get("/keys/a", metadata=True)[0]
    assert value == b"1" and metadata["version"] == "1"
    for number in range(20):
        first.put(f"/keys/many/{number:02}", str(number))
    found = second.get_prefix("/keys/many/", sort_order="descend", sort_target="key")
    assert [pair[0] for pair in found] == [str(number).encode() for number in reversed(range(20))]
    assert third.create("/keys/once", "1") and not third.create("/keys/once", "2")
    assert first.replace("/keys/once", "1", "3") and not second.replace("/keys/once", "1", "4")
    assert first.delete("/keys/a") and not first.delete("/keys/a")
    assert second.get("/keys/a") == []
    assert first.delete_prefix("/keys/") and third.get_prefix("/keys/") == []


def transactions():
    first.put("/txn", "old")
    question = {"key": _encode("/txn"), "result": "EQUAL", "target": "VALUE", "value": _encode("old")}
    answer = second.transaction({
        "compare": [question],
        "success": [
            {"request_put": {"key": _encode("/txn"), "value": _encode("new")}},
            {"request_range": {"key": _encode("/txn")}},
        ],
    })
    assert answer["succeeded"] and answer["responses"][1]["response_range"]["kvs"][0]["value"] == _encode("new")
    answer = third.transaction({
        "compare": [question], "success": [], "failure": [{"request_delete_range": {"key": _encode("/txn")}}]})
    assert "succeeded" not in answer and answer["responses"][0]["response_delete_range"]["deleted"] == "1"
    try:
        first.put("/txn", "x", lease=etcd3gw.lease.Lease("4711", first))
        raise AssertionError("a lease that is none was taken")
    except exceptions.Etcd3Exception as error:
        assert "requested lease not found" in error.detail_text, error.detail_text


def leases():
    lease = first.lease(60)
    second.put("/lease/a", "1", lease=lease)
    assert 50 < lease.ttl() <= 60 and lease.keys() == [b"/lease/a"] and lease.refresh() == 60
    assert lease.revoke() and third.get("/lease/a") == []


def watches():
    events, cancel = second.watch_prefix("/watch/", prev_kv=True)
    first.put("/watch/a", "1")
    third.put("/watch/a", "2")
    third.delete("/watch/a")
    seen = [next(events) for _ in range(3)]
    assert [event["kv"].get("value") for event in seen] == [b"1", b"2", None], seen
    assert seen[2]["type"] == "DELETE" and base64.b64decode(seen[2]["prev_kv"]["value"]) == b"2", seen
    cancel()
    start = int(seen[0]["kv"]["mod_revision"])
    events, cancel = third.watch("/watch/a", start_revision=start)
    assert [next(events)["kv"].get("value") for _ in range(3)] == [b"1", b"2", None]
    cancel()


def locks():
    inside, count, failures = [], [], []

    def work(number):
        try:
            for _ in range(2):
                lock = clients[number % 3].lock("counter", ttl=30)
                # It does not wait by itself.
                while not lock.acquire():
                    lock.lease.revoke()
                inside.append(number)
                assert inside == [number] and lock.is_acquired() and lock.refresh() == 30
                count.append(number)
                inside.remove(number)
                assert lock.release()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=[number]) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and len(count) == 6, failures


def members():
    assert sorted(member["name"] for member in first.members()) == ["a", "b", "c"]
    assert int(second.status()["dbSize"]) > 0


def users():
    """By its own requests: it has no calls for users."""
    def ask(own, path, **request):
        return own.post(own.get_url(path), json=request)

    for name in ["root", "alice"]:
        ask(first, "/auth/user/add", name=name, password=f"{name}'s")
        ask(second, "/auth/user/grant", user=name, role="root") if name == "root" else None
    ask(first, "/auth/role/add", name="mine")
    permission = {"permType": "READWRITE", "key": _encode("/mine/"), "range_end": _encode("/mine0")}
    ask(first, "/auth/role/grant", name="mine", perm=permission)
    ask(first, "/auth/user/grant", user="alice", role="mine")
    ask(first, "/auth/enable")
    root, alice = client(hosts[1]), client(hosts[2])
    try:
        for own, name in [(root, "root"), (alice, "alice")]:
            token = ask(own, "/auth/authenticate", name=name, password=f"{name}'s")["token"]
            own.session.headers["Authorization"] = token
        assert alice.put("/mine/a", "1") and alice.get("/mine/a") == [b"1"] and root.get("/mine/a") == [b"1"]
        for own, text in [(alice, "permission denied"), (first, "user name is empty")]:
            for call in [lambda: own.put("/theirs", "1"), lambda: own.get("/theirs")]:
                try:
                    call()
                    raise AssertionError("not refused")
                except exceptions.Etcd3Exception as error:
                    assert text in error.detail_text, error.detail_text
        root.delete_prefix("/")
    finally:
        ask(root, "/auth/disable")
    for name in ["root", "alice"]:
        ask(first, "/auth/user/delete", name=name)
    ask(first, "/auth/role/delete", role="mine")


for step in [keys_and_ranges, transactions, leases, watches, locks, members, users]:
    step()
    print(step.__name__, flush=True)
