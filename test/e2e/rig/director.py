"""A BOSH director: deployments and their instances, who may see and who may change them, and answers in its own odd ways."""
import base64
import json
import re
import threading
import time
import urllib.parse
import uuid

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from .https_server import HttpsServer

UUID = "b4f1c0de-1111-4222-8333-444455556666"


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def vm(group, index, *ips, instance_id=None, **more):
    """An entry of the list of instances; without addresses it has no VM."""
    has_vm = bool(ips)
    return {
        "agent_id": str(uuid.uuid4()) if has_vm else None, "cid": f"vm-{uuid.uuid4().hex[:8]}" if has_vm else None, "job": group, "index": index,
        "id": instance_id or str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{group}/{index}")), "az": "z1", "ips": list(ips),
        "vm_created_at": "2026-01-02T03:04:05Z" if has_vm else None, "expects_vm": True, **more,
    }


class Deployment:
    """teams: fixed when it was made; instances: as vm() makes them, or whatever shall be shown."""

    def __init__(self, name, teams=(), instances=()):
        self.name, self.teams, self.instances = name, list(teams), list(instances)
        self.variables = [{"id": str(n), "name": f"/bosh/{name}/secret-{n}"} for n in range(3)]


class Director(HttpsServer):
    """On the tester's loopback, over TLS; believes the keys of an Issuer.

    deployments  {name: Deployment}
    fault        function(handler, path) that answers instead and says so by True; None: all is well
    answers_s    seconds before each answer; each request waits for `go` too
    requests     (method, path as sent, headers, user) of all requests, in order; user: None when the token was not taken
    """

    def __init__(self, issuer, pki, deployments=(), identity=None, port=0):
        super().__init__(identity or pki.gateway, port)
        self.issuer, self.pki = issuer, pki
        self.deployments = {d.name: d for d in deployments}
        self.fault, self.answers_s, self.requests = None, 0, []
        self.go = threading.Event()
        self.go.set()
        self.open()

    def handler(self):
        director = self

        class Handler(self.Handler):
            def do_GET(self):
                claims = director.claims_of(self.headers.get("Authorization", ""))
                director.requests.append((self.command, self.path, dict(self.headers), claims and (claims.get("user_name") or claims.get("client_id"))))
                director.go.wait(60)
                time.sleep(director.answers_s)
                if not (director.fault and director.fault(self, self.path)):
                    director.answer(self, claims)

            do_POST = do_PUT = do_DELETE = do_GET

            def reply(self, status, body=b"", kind="application/json", headers=()):
                body = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send(status, body, {"Content-Type": kind, "Cache-Control": "no-store", **dict(headers)})

        return Handler

    def close(self):
        self.go.set()
        super().close()

    def config(self, **more):
        """Its section of the gateway's configuration; the VMs' agents of this rig do not know who they are."""
        return {"director": self.url, "ca": self.pki.ca, "issuer": self.issuer.name, "confirm": False, **more}

    def add(self, name, *instances, teams=()):
        self.deployments[name] = Deployment(name, teams, instances)
        return self.deployments[name]

    def paths(self):
        """Of all requests so far, which are forgotten."""
        paths, self.requests = [path for _, path, _, _ in self.requests], []
        return paths

    # ---- who is asking ----

    def claims_of(self, header):
        """As the director checks a token: signature, expiry and that it is no refresh token; neither issuer nor audience."""
        scheme, _, token = header.partition(" ")
        parts = token.split(".")
        if scheme.lower() != "bearer" or len(parts) != 3:
            return None
        try:
            head, claims = json.loads(unb64(parts[0])), json.loads(unb64(parts[1]))
            key = self.issuer.keys[head["kid"]].public_key()
            key.verify(unb64(parts[2]), ".".join(parts[:2]).encode(), padding.PKCS1v15(), hashes.SHA256())
        except (ValueError, KeyError, InvalidSignature):
            return None
        return None if claims["exp"] <= time.time() or claims["jti"].endswith("-r") else claims

    @staticmethod
    def needed(right, teams):
        scopes = ["bosh.admin", f"bosh.{UUID}.admin", *(f"bosh.teams.{t}.admin" for t in teams)]
        return scopes if right == "admin" else [*scopes, "bosh.read", f"bosh.{UUID}.read", *(f"bosh.teams.{t}.read" for t in teams)]

    def may(self, claims, right, teams=()):
        return bool(set(claims.get("scope") or []) & set(self.needed(right, teams)))

    # ---- answers ----

    def answer(self, to, claims):
        path, _, query = to.path.partition("?")
        if path == "/info" and to.command == "GET":
            to.reply(200, self.info(claims))
        elif claims is None:
            to.reply(401, f"Not authorized: '{path}'\n".encode(), "text/html;charset=utf-8", {"WWW-Authenticate": 'Basic realm="BOSH Director"'})
        elif path == "/deployments" and to.command == "GET":
            self.answer_list(to, claims)
        elif (m := re.fullmatch(r"/deployments/([^/]+)((?:/[^/]+)*)", path)):
            self.answer_deployment(to, claims, urllib.parse.unquote(m[1]), [urllib.parse.unquote(p) for p in m[2].split("/")[1:]], query)
        else:
            to.reply(404, f"Endpoint '{path}' not found.".encode(), "text/plain")

    def info(self, claims):
        return {
            "name": "lab", "uuid": UUID, "version": "282.0.0 (00000000)", "user": claims and (claims.get("user_name") or claims.get("client_id")),
            "cpi": "warden_cpi", "stemcell_os": "-", "stemcell_version": "-",
            "user_authentication": {"type": "uaa", "options": {"url": self.issuer.url, "urls": [self.issuer.url]}},
            "features": {"local_dns": {"status": True, "extras": {"domain_name": "bosh"}}, "snapshots": {"status": False}},
        }

    def refuse(self, to, right, teams=()):
        to.reply(401, {"code": 600000, "description": "Require one of the scopes: " + ", ".join(self.needed(right, teams))})

    def answer_list(self, to, claims):
        """Team admins may ask, team readers may not."""
        is_team_admin = any(re.fullmatch(r"bosh\.teams\.[^.]+\.admin", s) for s in claims.get("scope") or [])
        if not (self.may(claims, "read") or is_team_admin):
            self.refuse(to, "read", ["*"])
            return
        to.reply(200, [{"name": d.name, "teams": d.teams, "cloud_config": "latest", "locked": False} for d in self.deployments.values()
                       if self.may(claims, "read", d.teams)])

    def answer_deployment(self, to, claims, name, rest, query):
        """That it is there is told to anybody with a token: before rights are looked at."""
        d = self.deployments.get(name)
        if d is None:
            to.reply(404, {"code": 70000, "description": f"Deployment '{name}' doesn't exist"})
            return
        readable = to.command == "GET" and (not rest or rest in (["instances"], ["vms"]))
        if not self.may(claims, "read" if readable else "admin", d.teams):
            self.refuse(to, "read" if readable else "admin", d.teams)
        elif rest == ["ssh"] or (rest in (["instances"], ["vms"]) and "format=full" in query):
            to.reply(302, headers={"Location": "https://director.internal.example.test:25555/tasks/4711"})
        elif not rest:
            to.reply(200, {"manifest": f"name: {name}\n"})
        elif rest == ["instances"]:
            to.reply(200, d.instances)
        elif rest == ["vms"]:
            to.reply(200, [{**i, "active": True} for i in d.instances if i["cid"]])
        elif rest == ["variables"]:
            to.reply(200, d.variables)
        elif rest in (["snapshots"], ["problems"]):
            to.reply(200, [])
        elif len(rest) == 3 and rest[0] == "jobs":
            self.answer_instance(to, d, rest[1], rest[2])
        else:
            to.reply(404, f"Endpoint '{to.path}' not found.".encode(), "text/plain")

    @staticmethod
    def answer_instance(to, d, group, part):
        for i in d.instances:
            if i["job"] == group and (i["index"] == int(part) if part.isdigit() else i["id"] == part):
                to.reply(200, {"deployment": d.name, "job": group, "index": i["index"], "id": i["id"], "state": "started", "disks": []})
                return
        to.reply(404, {"code": 70001, "description": f"Instance '{d.name}/{group}/{part}' doesn't exist"})
