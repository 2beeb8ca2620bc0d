# SPDX-License-Identifier: MIT
"""The variables of a call's session, as methods of SessionContext.

Every method asks the host, so it gives a plain value where no event loop runs and a
Reply inside a coroutine (see _reply). What the host refuses is raised as one of the
exceptions of ``errors``.
"""

from . import _worker
from ._cache import Cache, Changing, copied, seconds
from ._reply import ask, ask_now, plain
from .errors import NotFound, VariableNotFoundError

_MISSING = object()


def _substitute(value):
    from ._values import substitute

    return substitute(value)


def to_json(value):
    """A value as JSON text."""
    return _worker.encode(value, _substitute)


def json_or_none(value):
    return None if value is None else to_json(value)


def _type_name(var_type):
    """A name from a name, a VariableType or None."""
    return None if var_type is None else str(getattr(var_type, "value", var_type))


def _is_array(value):
    return hasattr(value, "shape") and callable(getattr(value, "tolist", None))


def _array_kind(value):
    """What an array is as a variable: a number, an embedding or a tensor."""
    if len(value.shape) == 0:
        from .types import infer_type

        return infer_type(value.tolist()).value
    return "embedding" if len(value.shape) == 1 else "tensor"


def _from_array(value, kind):
    """An array (NumPy's, or another with shape and tolist) as that kind of variable."""
    if kind == "tensor":
        flat = value.reshape(-1).tolist()
        return {"shape": [int(size) for size in value.shape], "data": flat}
    return value.tolist()


class _Json(bytes):
    """A value that has been written already."""


class _Array(tuple):
    """A large array that goes as bytes: (dtype, shape, bytes)."""


_ARRAYS = ("array", "memoryview")  # what is no _is_array() and yet one


def _as_bytes(value):
    """The array as an _Array, None when it is small or no array of numbers."""
    if not _is_array(value) and type(value).__name__ not in _ARRAYS:
        return None
    from ._arrays import held

    found = held(value)
    return None if found is None else _Array(found)


def _taken(value):
    """A value as it is now, whatever the tool does with it before it is sent: JSON, or
    an array of its own."""
    value = plain(value)
    array = _as_bytes(value)
    if array is not None:
        return array
    if not _is_array(value):
        return _Json(to_json(value))
    copy = getattr(value, "copy", None)
    return copy() if callable(copy) else value


def _row(variable):
    """A variable as list_variables() gives it."""
    row = copied(variable)
    row["optimizing"] = bool(variable.get("locked_by"))
    return row


class VariableCalls:
    """Needs of its class: _ask_state() asks through the running call."""

    def _begin_variables(self, strict_mode=False):
        self.strict_mode = strict_mode
        self._cache = Cache()
        self._kinds = {}  # of variables that got arrays, by name
        self._owners = {}  # of the locks this call took, by name

    # ---- one variable ----

    def register_variable(
        self, name, var_type, initial_value, constraints=None, metadata=None, ttl=None
    ):
        """Register a variable with its first value; gives its id.

        var_type     a name, a VariableType, or None: the one that fits the value
        constraints  such as {"min": 0, "max": 1}
        ttl          seconds (or a timedelta) its value may be served from the cache
        """
        return ask(
            self._register,
            name,
            _type_name(var_type),
            _taken(initial_value),
            json_or_none(constraints),
            json_or_none(metadata),
            ttl,
        )

    def _register(self, name, kind, value, constraints, metadata, ttl):
        if type(value) is _Array:
            kind = kind or ("embedding" if len(value[1]) == 1 else "tensor")
            value = self._array_of(kind, value)
        elif type(value) is not _Json:
            kind = kind or _array_kind(value)
            value = to_json(_from_array(value, kind))
        if ttl is not None:
            self._cache.set_ttl(name, seconds(ttl))
        with Changing(self._cache, name):
            variable = self._ask_state(
                "variable_register",
                name,
                kind,
                value,
                constraints,
                metadata,
            )
        return variable["id"]

    def get_variable(self, identifier, default=_MISSING, *, bypass_cache=False):
        """The value of a variable, by name or id; VariableNotFoundError without one,
        unless there is a default."""
        return ask(self._get, identifier, default, bypass_cache)

    def _get(self, identifier, default=_MISSING, bypass_cache=False):
        try:
            return copied(self._variable(identifier, bypass_cache)["value"])
        except VariableNotFoundError:
            if default is _MISSING:
                raise
            return default

    def _variable(self, identifier, bypass_cache=False):
        found = None if bypass_cache else self._cache.get(identifier)
        if found is None:
            before = self._cache.before_read()
            found = self._ask_state("variable_get", identifier)
            self._cache.put(found, before)
        return found

    def variable_info(self, identifier):
        """All there is to know of a variable, as a dict; never from the cache."""
        return ask(lambda: _row(self._variable(identifier, True)))

    def set_variable(
        self, identifier, value, metadata=None, *, expected_version=None, owner=None
    ):
        """Give a variable a new value; gives the new version.

        expected_version  only when that is its version, else VersionConflict
        owner             of its lock; known for the locks this call took
        """
        return ask(
            self._set,
            identifier,
            _taken(value),
            json_or_none(metadata),
            expected_version,
            owner,
        )

    update_variable = set_variable

    def _set(self, identifier, value, metadata, expected_version, owner):
        if owner is None:
            owner = self._owners.get(identifier)
        text = self._json_of(identifier, value)
        with Changing(self._cache, identifier):
            return self._ask_state(
                "variable_set",
                identifier,
                text,
                metadata,
                expected_version,
                owner,
            )

    def _json_of(self, identifier, value):
        """A new value of a variable: an array takes the form of the variable's type."""
        if type(value) is _Json:
            return value
        if type(value) is _Array:
            many = len(value[1]) > 1  # one dimension fits every type of list
            return self._array_of(self._kind(identifier) if many else None, value)
        return to_json(_from_array(value, self._variable(identifier)["type"]))

    def _array_of(self, kind, array):
        """An array for a variable of that type: of a list it is the lists in it."""
        if kind != "list" or len(array[1]) == 1:
            return array
        from ._arrays import lists

        return to_json(lists(array))

    def _kind(self, identifier):
        """The type of a variable, asked for once."""
        if identifier not in self._kinds:
            self._kinds[identifier] = self._variable(identifier)["type"]
        return self._kinds[identifier]

    def delete_variable(self, identifier):
        """Delete a variable with its history."""
        return ask(self._delete, identifier)

    def _delete(self, identifier):
        self._kinds.clear()
        with Changing(self._cache, identifier):
            self._ask_state("variable_delete", identifier, self._owners.get(identifier))

    # ---- several ----

    def list_variables(self, pattern=None):
        """The variables whose names fit ("temp*"), in the order of their registration:
        dicts with id, name, type, value, version, constraints, metadata, optimizing."""
        return ask(self._list, pattern)

    def _list(self, pattern=None):
        before = self._cache.before_read()
        found = self._ask_state("variables_list", pattern)
        for variable in found:
            self._cache.put(variable, before)
        return [_row(variable) for variable in found]

    def get_variables(self, identifiers, *, bypass_cache=False):
        """The values of several, by what they were asked for; of one moment when the
        cache has none of them. VariableNotFoundError names those that are not there."""
        return ask(self._get_many, list(identifiers), bypass_cache)

    def _get_many(self, identifiers, bypass_cache=False):
        known = {}
        if not bypass_cache:
            known = {name: self._cache.get(name) for name in identifiers}
        wanted = [name for name in identifiers if known.get(name) is None]
        if wanted:
            before = self._cache.before_read()
            for name, variable in zip(wanted, self._ask_state("variables_get", wanted)):
                known[name] = variable
                if variable is not None:
                    self._cache.put(variable, before)
        missing = [name for name in identifiers if known[name] is None]
        if missing:
            raise VariableNotFoundError(
                f"no variable {', '.join(map(repr, missing))}", "SP-NOT-FOUND"
            )
        values = {}
        for name in identifiers:
            variable = known[name]
            for key in (name, variable["name"]):
                values[key] = copied(variable["value"])
        return values

    def update_variables(self, updates, atomic=False, metadata=None):
        """Set several. Gives, by name, True or why it was refused.

        atomic  all or none: raises what the first one was refused for
        """
        updates = {name: _taken(value) for name, value in dict(updates).items()}
        return ask(self._set_many, updates, atomic, json_or_none(metadata))

    set_variables = update_variables

    def _set_many(self, updates, atomic=False, metadata=None):
        pairs = [(name, self._json_of(name, value)) for name, value in updates.items()]
        owners = {self._owners[name] for name in updates if name in self._owners}
        owner = owners.pop() if len(owners) == 1 else None
        with Changing(self._cache, *updates):
            done = self._ask_state("variables_set", pairs, atomic, metadata, owner)
        return {
            name: True if not code else message
            for (name, _), (code, _, message) in zip(pairs, done)
        }

    # ---- versions ----

    def history(self, identifier, limit=0):
        """The kept versions, the newest first: dicts with version, value, changed_by,
        metadata and updated_at (seconds since 1970)."""
        return ask(self._ask_state, "variable_history", identifier, limit)

    get_variable_history = history

    def rollback(self, identifier, version):
        """Make an earlier value the value again, as a new version, which it gives."""
        return ask(self._rollback, identifier, version)

    rollback_variable = rollback

    def _rollback(self, identifier, version):
        with Changing(self._cache, identifier):
            return self._ask_state(
                "variable_rollback", identifier, version, self._owners.get(identifier)
            )

    # ---- locks ----

    def lock(self, identifier, owner=None):
        """Lock a variable: until unlock() only its owner changes it. Gives the owner,
        by default one of this call's own. VariableLocked names another owner."""
        return ask(self._lock, identifier, owner)

    def _lock(self, identifier, owner=None):
        import os

        owner = owner or f"python-{os.getpid()}-{id(self):x}"
        self._ask_state("variable_lock", identifier, owner)
        self._owners[identifier] = owner
        return owner

    def unlock(self, identifier, owner=None, *, force=False):
        """Unlock it; gives its value. force: whoever holds it."""
        return ask(self._unlock, identifier, owner, force)

    def _unlock(self, identifier, owner=None, force=False):
        mine = self._owners.get(identifier)
        if not force and owner is None and mine is None:
            raise ValueError(
                f"{identifier!r} was not locked by this call: name an owner"
            )
        owner = None if force else owner or mine
        variable = self._ask_state("variable_unlock", identifier, owner)
        self._owners.pop(identifier, None)
        return variable["value"]

    def start_optimization(self, identifier, optimizer_id, config=None):
        """lock() under its older name; gives the owner. config is the optimiser's own
        and not kept."""
        return self.lock(identifier, optimizer_id)

    def stop_optimization(self, identifier, force=False):
        """unlock() under its older name; gives the value."""
        return self.unlock(identifier, force=force)

    # ---- dependencies, export, import ----

    def add_dependency(self, from_variable, to_variable, dependency_type="data"):
        """Say that one variable depends on another. DependencyCycle when that would
        close a ring."""
        return ask(
            self._ask_state,
            "variable_depend",
            from_variable,
            to_variable,
            dependency_type,
        )

    def remove_dependency(self, from_variable, to_variable):
        """Take that back."""
        return ask(self._ask_state, "variable_undepend", from_variable, to_variable)

    def dependencies(self, identifier=None):
        """What a variable, or any, depends on: (from, to, type) of each."""
        return ask(self._ask_state, "variable_dependencies", identifier)

    def export_variables(self):
        """All variables as a list of dicts that import_variables() takes."""
        return ask(self._ask_state, "variables_export")

    def import_variables(self, exported):
        """Register every variable of such a list, all or none; gives how many."""
        return ask(self._import, to_json(plain(exported)))

    def _import(self, exported):
        with Changing(self._cache):
            return self._ask_state("variables_import", exported)

    # ---- watching ----

    def watch(self, *identifiers, initial=False, queue_max=0):
        """Changes as they are made, of these variables or of all: a Watch, for ``for``
        and ``async for``. What is changed once this has returned, or in a coroutine
        once ``async with`` has entered it, is seen, whoever changes it.

        initial    begin with the values as they are
        queue_max  changes that may lie waiting, 0: 1,024; more end it with WatchTooSlow
        """
        from ._watch import Watch

        return Watch(self, identifiers, initial, queue_max)

    # ---- as a mapping ----

    def __getitem__(self, name):
        return ask(self._get, name)

    def __setitem__(self, name, value):
        value = plain(value)
        ask_now(self._assign, name, value, _taken(value))

    def _assign(self, name, value, taken):
        try:
            self._set(name, taken, None, None, None)
        except VariableNotFoundError:
            if self.strict_mode:
                raise
            from .types import infer_type

            is_array = type(taken) is _Array or _is_array(value)
            kind = None if is_array else infer_type(value).value
            self._register(name, kind, taken, None, None, None)

    def __delitem__(self, name):
        ask_now(self._delete, name)

    def __contains__(self, name):
        return ask_now(self._has, name)

    def _has(self, name):
        if not self.session_id:
            return False
        try:
            self._variable(name)
        except NotFound:
            return False
        return True

    def __iter__(self):
        return iter([row["name"] for row in ask_now(self._list)])

    def __len__(self):
        return len(ask_now(self._list))

    # ---- the original's other ways ----

    @property
    def v(self):
        """Variables as attributes: ``ctx.v.temperature = 0.5``."""
        return VariableNamespace(self)

    def variable(self, name):
        """A variable as an object with a ``value``."""
        return VariableProxy(self, name)

    def batch_updates(self):
        """``with ctx.batch_updates() as batch: batch["x"] = 1``: set together at the
        end, and not at all after an exception."""
        return BatchUpdater(self)

    def set_cache_ttl(self, ttl):
        """How long a value may be served without asking: seconds or a timedelta; 0
        always asks."""
        self._cache.ttl = seconds(ttl)
        self._cache.clear()

    def clear_cache(self):
        """Ask for everything anew."""
        self._cache.clear()


class VariableProxy:
    """One variable by name."""

    def __init__(self, context, name):
        self._context = context
        self.name = name

    @property
    def value(self):
        return self._context[self.name]

    @value.setter
    def value(self, new_value):
        self._context[self.name] = new_value

    def __repr__(self):
        return f"VariableProxy({self.name!r})"


class VariableNamespace:
    """Variables as attributes."""

    __slots__ = ("_context",)

    def __init__(self, context):
        object.__setattr__(self, "_context", context)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return self._context[name]
        except VariableNotFoundError as failure:
            raise AttributeError(failure.message) from failure

    def __setattr__(self, name, value):
        self._context[name] = value

    def __delattr__(self, name):
        del self._context[name]


class BatchUpdater:
    """Updates that go out together."""

    def __init__(self, context):
        self._context = context
        self._updates = {}

    def __setitem__(self, name, value):
        self._updates[name] = value

    def __len__(self):
        return len(self._updates)

    def commit(self, atomic=False):
        """Send what was gathered; gives what update_variables() gives."""
        updates, self._updates = self._updates, {}
        return self._context.update_variables(updates, atomic)

    def __enter__(self):
        return self

    def __exit__(self, kind, *exc_info):
        if kind is None and self._updates:
            self.commit()
