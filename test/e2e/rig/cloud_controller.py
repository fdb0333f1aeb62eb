"""A Cloud Controller: API v3 as far as a capture asks, with a small foundation behind it, the odd ways of the real one, and faults as told."""
import base64
import json
import re
import time
import urllib.parse
import uuid

from .https_server import HttpsServer

API = "3.228.0"
ADMIN, READ_ONLY, AUDITOR = "cloud_controller.admin", "cloud_controller.admin_read_only", "cloud_controller.global_auditor"
SPACE_ROLES = ("space_auditor", "space_developer", "space_manager", "space_supporter")
ORG_ROLES = ("organization_auditor", "organization_billing_manager", "organization_manager", "organization_user")
LIST = {"page", "per_page", "order_by"}


class Refusal(Exception):
    """An answer with this status: code, title and detail as Cloud Controller's."""

    def __init__(self, status, code, title, detail):
        super().__init__(title)
        self.status, self.body = status, {"errors": [{"detail": detail, "title": title, "code": code}]}


def not_found(what):
    return Refusal(404, 10010, "CF-ResourceNotFound", f"{what} not found")


def handle_of(seed):
    """A container's handle: a UUID cut to 28 characters."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, str(seed)))[:28]


# ---- instances, as stats show them ----

def running(index, host="127.0.0.1", handle=None, ip=None, type="web", **more):
    """more: members to set; None: to leave out."""
    entry = {
        "type": type, "index": index, "instance_guid": handle or handle_of((type, index)), "state": "RUNNING", "routable": True, "host": host,
        "instance_internal_ip": ip or f"10.255.40.{index + 1}", "uptime": 812, "mem_quota": 268435456, "disk_quota": 1073741824, "log_rate_limit": -1,
        "fds_quota": 16384, "isolation_segment": None, "details": None,
        "instance_ports": [{"external": 0, "internal": 8080, "external_tls_proxy_port": 61012, "internal_tls_proxy_port": 61001}],
        "usage": {"time": "2026-01-05T10:10:00+00:00", "cpu": 0.01, "mem": 40000000, "disk": 90000000, "log_rate": 0},
    }
    entry.update(more)
    return {k: v for k, v in entry.items() if v is not None or k in ("isolation_segment", "details")}


def starting(index, type="web", **more):
    """Without a place yet."""
    return {"type": type, "index": index, "instance_guid": "", "state": "STARTING", "routable": False, "host": "", "instance_internal_ip": "", "uptime": 3,
            "mem_quota": None, "disk_quota": None, "log_rate_limit": None, "fds_quota": 16384, "isolation_segment": None, "details": None,
            "instance_ports": [], "usage": {}, **more}


def down(index, type="web"):
    """Members are not there, rather than empty."""
    return {"type": type, "index": index, "state": "DOWN", "routable": None, "uptime": 0, "isolation_segment": None, "details": None}


def crashed(index, **more):
    return running(index, state="CRASHED", routable=False, details="APP/PROC/WEB: Exited with status 1", **more)


class CloudController(HttpsServer):
    """On the tester's loopback, over TLS.

    orgs, spaces, apps, processes   {guid: resource}, made by org(), space(), app(), process(); change them as you like
    stats                           {process guid: list of instances}
    roles                           [(type, user's or client's id, guid of org or space)]
    ssh                             {app guid: reason why not, or None}; apps that are not there have it enabled
    fault                           function(handler, path) that answers instead and says so by True; None: all is well
    after                           function(path) that is called after each answer; None: nothing
    asked                           [(path, query as a dict)] of all requests, in order
    answers_s                       seconds before each answer
    page                            resources of a page where none is asked for
    """

    def __init__(self, pki):
        super().__init__(pki.gateway)
        self.orgs, self.spaces, self.apps, self.processes, self.stats, self.roles, self.ssh = {}, {}, {}, {}, {}, [], {}
        self.fault = self.after = None
        self.asked, self.answers_s, self.page = [], 0, 50
        self._made = 0
        self.open()

    # ---- the foundation ----

    def _stamp(self):
        self._made += 1
        return f"2026-01-05T10:{self._made // 60 % 60:02}:{self._made % 60:02}Z"

    def _resource(self, store, guid, labels=None, **more):
        guid, now = guid or str(uuid.uuid4()), self._stamp()
        store[guid] = {"guid": guid, "created_at": now, "updated_at": now, "metadata": {"labels": labels or {}, "annotations": {}}, "links": {}, **more}
        return guid

    def org(self, name="acme", suspended=False, **more):
        return self._resource(self.orgs, None, name=name, suspended=suspended, relationships={"quota": {"data": {"guid": "q"}}}, **more)

    def space(self, org, name="dev", suspended=False, **more):
        """suspended None: as older ones, which do not know it."""
        flag = {} if suspended is None else {"suspended": suspended}
        return self._resource(self.spaces, None, name=name, relationships={"organization": {"data": {"guid": org}}, "quota": {"data": None}}, **flag, **more)

    def app(self, space, name="shop", instances=None, state="STARTED", guid=None, **more):
        """With instances: and its first web process, whose guid is the app's."""
        guid = self._resource(self.apps, guid, name=name, state=state, lifecycle={"type": "buildpack", "data": {"buildpacks": [], "stack": "cflinuxfs4"}},
                              relationships={"space": {"data": {"guid": space}}, "current_droplet": {"data": None}}, **more)
        if instances is not None:
            self.process(guid, instances, guid=guid)
        return guid

    def process(self, app, instances, type="web", guid=None, wanted=None):
        """wanted: desired instances, else as many as listed."""
        guid = self._resource(self.processes, guid, type=type, command="[PRIVATE DATA HIDDEN IN LISTS]", user="vcap",
                              instances=len(instances) if wanted is None else wanted, memory_in_mb=256, disk_in_mb=1024,
                              version=str(uuid.uuid4()), relationships={"app": {"data": {"guid": app}}, "revision": None})
        self.stats[guid] = list(instances)
        return guid

    def role(self, type, user, place):
        self.roles.append((type, user, place))

    # ---- who sees what ----

    def _person(self, header):
        """(id, scopes) of a token that is believed as it stands."""
        if not header:
            raise Refusal(401, 10002, "CF-NotAuthenticated", "Authentication error")
        try:
            kind, token = header.split(" ")
            part = token.split(".")[1]
            claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
            good = kind.lower() == "bearer" and claims["exp"] > time.time() and "cloud_controller" in claims["aud"] and not claims["jti"].endswith("-r")
        except (ValueError, KeyError, IndexError):
            good = False
        if not good:
            raise Refusal(401, 1000, "CF-InvalidAuthToken", "Invalid Auth Token")
        scopes = set(claims.get("scope", []))
        if not scopes & {ADMIN, READ_ONLY, AUDITOR, "cloud_controller.read"}:
            raise Refusal(403, 10003, "CF-NotAuthorized", "You are not authorized to perform the requested action")
        return claims.get("user_id") or claims["client_id"], scopes

    def _sees_space(self, person, space):
        user, scopes = person
        org = self.spaces[space]["relationships"]["organization"]["data"]["guid"]
        return bool(scopes & {ADMIN, READ_ONLY, AUDITOR}) or any(
            u == user and ((t in SPACE_ROLES and place == space) or (t == "organization_manager" and place == org)) for t, u, place in self.roles)

    def _sees_org(self, person, org):
        user, scopes = person
        return bool(scopes & {ADMIN, READ_ONLY, AUDITOR}) or any(u == user and t in ORG_ROLES and place == org for t, u, place in self.roles)

    def _seen_app(self, person, guid):
        app = self.apps.get(guid)
        if not app or not self._sees_space(person, app["relationships"]["space"]["data"]["guid"]):
            raise not_found("App")
        return app

    # ---- answers ----

    @staticmethod
    def _values(query, name):
        """A filter's values: split at commas, then decoded once more; None: no filter."""
        if name not in query:
            return None
        return [urllib.parse.unquote(v) for v in re.split(r",\s*", query[name])]

    @staticmethod
    def _allow(query, names, refusal=(400, 10005, "CF-BadQueryParameter")):
        unknown = set(query) - names
        if unknown:
            raise Refusal(*refusal, f"The query parameter is invalid: Unknown query parameter(s): '{sorted(unknown)[0]}'. "
                                    f"Valid parameters are: {', '.join(sorted(names))}")

    def _list(self, path, query, resources, included=None):
        page, size = int(query.get("page", 1)), int(query.get("per_page", self.page))
        if page < 1 or not 1 <= size <= 5000:
            raise Refusal(400, 10005, "CF-BadQueryParameter", "The query parameter is invalid: Page must be a positive integer")
        pages = max(1, -(-len(resources) // size))

        def link(n):
            return {"href": self.url + path + "?" + urllib.parse.urlencode({**query, "page": n, "per_page": size})} if 1 <= n <= pages else None
        body = {"pagination": {"total_results": len(resources), "total_pages": pages, "first": link(1), "last": link(pages), "next": link(page + 1),
                               "previous": link(page - 1)}, "resources": resources[(page - 1) * size:page * size]}
        return {**body, "included": included} if included else body

    def _included(self, query, apps):
        if query.get("include") not in (None, "space", "space.organization"):
            raise Refusal(400, 10005, "CF-BadQueryParameter", "The query parameter is invalid: Invalid included resource")
        if "include" not in query:
            return None
        spaces = {a["relationships"]["space"]["data"]["guid"] for a in apps}
        orgs = {self.spaces[s]["relationships"]["organization"]["data"]["guid"] for s in spaces}
        out = {"spaces": [self.spaces[s] for s in sorted(spaces)]}
        if query["include"] == "space.organization":
            out["organizations"] = [self.orgs[o] for o in sorted(orgs)]
        return out

    def answer(self, path, query, authorization):
        if path == "/":
            return {"links": {"self": {"href": self.url}, "cloud_controller_v3": {"href": self.url + "/v3", "meta": {"version": API}}, "credhub": None,
                              "routing": None, "logging": None}}
        person = self._person(authorization)
        parts = path.strip("/").split("/")
        if parts[:1] != ["v3"]:
            raise Refusal(404, 10000, "CF-NotFound", "Unknown request")
        for pattern, route in ((["apps"], self._apps), (["apps", None], self._app), (["apps", None, "permissions"], self._permissions),
                               (["apps", None, "ssh_enabled"], self._ssh), (["apps", None, "processes"], self._processes),
                               (["processes", None, "stats"], self._stats), (["roles"], self._roles),
                               (["spaces", None], self._space)):
            if len(pattern) == len(parts) - 1 and all(p in (None, q) for p, q in zip(pattern, parts[1:])):
                return route(person, path, query, *[urllib.parse.unquote(q) for p, q in zip(pattern, parts[1:]) if p is None])
        raise Refusal(404, 10000, "CF-NotFound", "Unknown request")

    def _apps(self, person, path, query):
        self._allow(query, LIST | {"names", "guids", "space_guids", "organization_guids", "include", "label_selector", "stacks", "lifecycle_type"})
        names, spaces, guids = (self._values(query, n) for n in ("names", "space_guids", "guids"))
        found = [a for a in self.apps.values() if self._sees_space(person, a["relationships"]["space"]["data"]["guid"])
                 and (names is None or a["name"].lower() in [n.lower() for n in names])  # databases do not look at the case
                 and (spaces is None or a["relationships"]["space"]["data"]["guid"] in spaces) and (guids is None or a["guid"] in guids)]
        return self._list(path, query, found, self._included(query, found))

    def _app(self, person, _path, query, guid):
        self._allow(query, {"include"})
        app = self._seen_app(person, guid)
        included = self._included(query, [app])
        return {**app, "included": included} if included else app

    def _space(self, person, _path, query, guid):
        self._allow(query, {"include"})
        if guid not in self.spaces or not self._sees_space(person, guid):
            raise not_found("Space")
        space = self.spaces[guid]
        if query.get("include") != "organization":
            return space
        return {**space, "included": {"organizations": [self.orgs[space["relationships"]["organization"]["data"]["guid"]]]}}

    def _permissions(self, person, _path, query, guid):
        self._allow(query, set())
        app = self._seen_app(person, guid)
        developer = ("space_developer", person[0], app["relationships"]["space"]["data"]["guid"]) in self.roles
        return {"read_basic_data": True, "read_sensitive_data": developer or bool(person[1] & {ADMIN, READ_ONLY})}

    def _ssh(self, person, _path, query, guid):
        self._allow(query, set())
        self._seen_app(person, guid)
        reason = self.ssh.get(guid)
        return {"enabled": not reason, "reason": reason or ""}

    def _processes(self, person, path, query, guid):
        self._allow(query, LIST | {"types", "guids", "label_selector"})
        self._seen_app(person, guid)
        types = self._values(query, "types")
        return self._list(path, query, [p for p in self.processes.values() if p["relationships"]["app"]["data"]["guid"] == guid
                                        and (types is None or p["type"] in types)])

    def _stats(self, person, _path, query, guid):
        self._allow(query, set())
        process = self.processes.get(guid)
        if not process:
            raise not_found("Process")
        try:
            self._seen_app(person, process["relationships"]["app"]["data"]["guid"])
        except Refusal:
            raise not_found("Process") from None
        return {"resources": self.stats[guid]}

    def _roles(self, person, path, query):
        self._allow(query, LIST | {"types", "space_guids", "organization_guids", "user_guids", "guids", "include"}, (422, 10008, "CF-UnprocessableEntity"))
        types, spaces, users = (self._values(query, n) for n in ("types", "space_guids", "user_guids"))
        found = []
        for n, (kind, user, place) in enumerate(self.roles):
            in_space = place in self.spaces
            if not (self._sees_space(person, place) if in_space else self._sees_org(person, place)):
                continue
            if (types is not None and kind not in types) or (spaces is not None and place not in spaces) or (users is not None and user not in users):
                continue
            data = {"space" if in_space else "organization": {"data": {"guid": place}}, "organization" if in_space else "space": {"data": None}}
            found.append({"guid": f"role-{n}", "type": kind, "created_at": "2026-01-05T10:00:00Z", "updated_at": "2026-01-05T10:00:00Z",
                          "relationships": {"user": {"data": {"guid": user}}, **data}, "links": {}})
        return self._list(path, query, found)

    # ---- the server ----

    def handler(self):
        cc = self

        class Handler(self.Handler):
            def do_GET(self):
                url = urllib.parse.urlsplit(self.path)
                pairs = urllib.parse.parse_qsl(url.query, keep_blank_values=True)
                cc.asked.append((url.path, dict(pairs)))
                time.sleep(cc.answers_s)
                if cc.fault and cc.fault(self, self.path):
                    return
                try:
                    self.reply(200, cc.answer(url.path, dict(pairs), self.headers.get("Authorization")))
                except Refusal as e:
                    self.reply(e.status, e.body)
                if cc.after:
                    cc.after(url.path)

            def reply(self, status, body, kind="application/json; charset=utf-8", headers=None):
                """body: an object, or bytes as they are."""
                body = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send(status, body, {
                    "Content-Type": kind, "X-Vcap-Request-Id": str(uuid.uuid4()), "X-RateLimit-Limit": "2000", "X-RateLimit-Remaining": "1800",
                    "X-RateLimit-Reset": str(int(time.time()) + 3600), **(headers or {})})

        return Handler


# ---- faults ----

def answering(status, body, kind="application/json; charset=utf-8", headers=None, at=""):
    """This instead of the answers to paths that contain `at`."""
    def fault(handler, path):
        if at not in path:
            return False
        handler.reply(status, body, kind, headers)
        return True
    return fault


def refusing(status, code, title, detail="", at="", headers=None):
    return answering(status, Refusal(status, code, title, detail).body, headers=headers, at=at)


HTML = b"<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>"
