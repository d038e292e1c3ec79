"""Making and removing webhooks, and what becomes of an event that comes in by one."""

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from auth_gateway.accounts import Account, AccountStore
from auth_gateway.audit import Event, if_done
from auth_gateway.hooks import (
    HOOK_ID,
    MAX_HOOKS,
    SECRET_FIELD,
    DeadLetter,
    Hook,
    HookStore,
    Proof,
    check_mapping,
    check_secret,
    check_signature,
    event_of,
    hook_secret,
    new_hook_id,
    signal_of,
)
from auth_gateway.identity import Identity, Worker, by_login
from auth_gateway.permissions import ROLE_SCOPES, allows
from shared.errors import Conflict, FleetError, Forbidden, InvalidInput, NotFound, Unavailable

DATABASE = "database-service"
Document = dict[str, Any]
Parse = Callable[[bytes], Any]  # raises MalformedInput
# (owner, address, signal, Idempotency-Key) -> the signal's id; raises InvalidInput (a verdict) or Unavailable
Deliver = Callable[[Identity, str, Document, str], str]
CountEvent = Callable[[str], None]  # raises RateLimited


@dataclass(frozen=True, slots=True)
class NewHook:
    """What is asked for."""

    name: str
    proof: Proof
    fields: Mapping[str, str]
    fixed: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Incoming:
    """One request of a sender."""

    hook_id: str
    body: bytes
    timestamp: str
    signature: str
    address: str


@dataclass(frozen=True, slots=True)
class Webhooks:
    """The hooks of whoever is logged in, and their events. `signing_keys`: the one in use, then the one before."""

    hooks: HookStore
    accounts: AccountStore
    signing_keys: Callable[[], Sequence[bytes]]
    parse: Parse
    deliver: Deliver
    count: CountEvent
    run: Worker
    now: Callable[[], datetime]

    def make(self, who: Identity, asked: NewHook, address: str) -> tuple[Hook, str]:
        """A hook and its secret, which is never told again. Raises InvalidInput, Forbidden, Conflict (too many)."""
        by_login(who)
        if not allows(who.scopes, DATABASE, "write"):
            raise Forbidden(f"a hook stores signals; your role ({who.role}) may not")
        check_mapping(asked.fields, asked.fixed)
        hook = Hook(
            new_hook_id(), who.account_id, asked.name, asked.proof, asked.fields, asked.fixed, self.now()
        )  # fmt: skip
        made = if_done(self._said("hook_made", hook, address, asked.proof))
        if not self.run(self.hooks.add_hook, hook, MAX_HOOKS, made):
            raise Conflict(f"an account has {MAX_HOOKS} hooks at most; delete one first")
        return hook, self._secrets(hook.id)[0]

    def listed(self, who: Identity) -> list[Hook]:
        """Newest first."""
        by_login(who)
        hooks: list[Hook] = self.run(self.hooks.hooks_of, who.account_id)
        return hooks

    def delete(self, who: Identity, hook_id: str, address: str) -> Hook:
        """It takes nothing any more; its dead letters go with it. Raises NotFound."""
        by_login(who)
        hook: Hook | None = self.run(
            self.hooks.delete_hook, who.account_id, hook_id,
            lambda hook: self._said("hook_deleted", hook, address) if hook else None,
        )  # fmt: skip
        if hook is None:
            raise NotFound("you have no hook of that id")
        return hook

    def letters(self, who: Identity, hook_id: str) -> list[DeadLetter]:
        """What became no signal, newest first. Raises NotFound."""
        letters: list[DeadLetter] = self.run(self.hooks.letters_of, self._own(who, hook_id).id)
        return letters

    def retry(self, who: Identity, hook_id: str, number: int, address: str) -> str:
        """Try a dead letter again; the id of its signal. Raises NotFound, InvalidInput or Unavailable."""
        hook = self._own(who, hook_id)
        letter: DeadLetter | None = self.run(self.hooks.letter, hook.id, number)
        if letter is None:
            raise NotFound("this hook has no dead letter of that number")
        try:
            document = self._document(hook, letter.body.encode())
            signal_id = self._deliver(hook, self._owner(hook), address, document, letter.event)
        except FleetError as error:
            failed = self._said("hook_retried", hook, address, f"letter {number}: {error.code}")
            self.run(self.hooks.failed_again, hook.id, number, error.message, lambda _: failed)
            raise
        done = self._said("hook_retried", hook, address, f"letter {number}: {signal_id}")
        self.run(self.hooks.remove_letter, hook.id, number, lambda _: done)
        return signal_id

    def take(self, came: Incoming) -> Document:
        """An event: `{"delivered": True, "signal_id"}`, or `{"delivered": False, "dead_letter"}` to be retried later.

        Raises NotFound, Unauthorized, RateLimited, Conflict (came before), and InvalidInput or MalformedInput for what
        is no signal; that one lies among the dead letters as well.
        """
        hook: Hook | None = self.run(self.hooks.hook, came.hook_id) if HOOK_ID.fullmatch(came.hook_id) else None
        if hook is None:
            raise NotFound("there is no such hook")
        body = self._proven(hook, came)
        self.count(hook.id)
        owner = self._owner(hook)
        event = self._event(hook, came)
        if self.run(self.hooks.has_seen, hook.id, event):
            raise Conflict("this event came before")
        # The note comes after the delivery: who is cut off between the two may repeat it, and the Idempotency-Key
        # makes one signal of both.
        try:
            signal_id = self._deliver(hook, owner, came.address, self._document(hook, body), event)
        except FleetError as error:
            return self._bury(hook, came, event, body, error)
        done = self._said("hook_event", hook, came.address, signal_id)
        self.run(self.hooks.note, hook.id, event, self.now(), None, lambda _: done)
        return {"delivered": True, "signal_id": signal_id}

    def _bury(self, hook: Hook, came: Incoming, event: str, body: bytes, error: FleetError) -> Document:
        text = body.decode(errors="replace").replace("\x00", "\ufffd")  # PostgreSQL's texts hold no NUL
        number = self.run(
            self.hooks.note, hook.id, event, self.now(), (text, error.message),
            lambda number: self._said("hook_event", hook, came.address, f"dead letter {number}: {error.code}"),
        )  # fmt: skip
        if isinstance(error, Unavailable):
            return {"delivered": False, "dead_letter": number}
        raise error

    def _proven(self, hook: Hook, came: Incoming) -> bytes:
        """The body, without the secret if it held it. Raises Unauthorized."""
        given = self._secrets(hook.id)
        if hook.proof == "signature":
            check_signature(given, came.timestamp, came.signature, came.body, self.now().timestamp())
            return came.body
        if hook.proof == "address":
            return came.body
        document = self.parse(came.body)
        check_secret(given, document.get(SECRET_FIELD) if isinstance(document, dict) else None)
        body = came.body
        for secret in given:  # as it was written, so that a dead letter shows what came
            body = body.replace(secret.encode(), b"")
        return body

    def _event(self, hook: Hook, came: Incoming) -> str:
        """Without a signature only a time in the body tells a repetition from a second alert of the same words."""
        if hook.proof == "signature":
            return event_of(came.timestamp, came.body)
        timed = "timestamp" in hook.fields or (not hook.fields and b'"timestamp"' in came.body)
        return event_of("" if timed else secrets.token_hex(16), came.body)

    def _document(self, hook: Hook, body: bytes) -> Document:
        document = self.parse(body)
        if not isinstance(document, dict):
            raise InvalidInput.field("body", "must be a JSON object")
        if hook.proof == "address_and_secret":
            document.pop(SECRET_FIELD, None)
        return document

    def _deliver(self, hook: Hook, owner: Account, address: str, document: Document, event: str) -> str:
        who = Identity(owner.id, owner.role, owner.plan, ROLE_SCOPES[owner.role])
        return self.deliver(who, address, signal_of(hook, document), f"hook-{hook.id}-{event}")

    def _owner(self, hook: Hook) -> Account:
        """Raises Forbidden when the account may not store signals any more."""
        account: Account | None = self.run(self.accounts.account, hook.account_id)
        if account is None or account.disabled or not allows(ROLE_SCOPES[account.role], DATABASE, "write"):
            raise Forbidden("the hook's owner may not store signals any more")
        return account

    def _own(self, who: Identity, hook_id: str) -> Hook:
        by_login(who)
        hook: Hook | None = self.run(self.hooks.hook, hook_id)
        if hook is None or hook.account_id != who.account_id:
            raise NotFound("you have no hook of that id")
        return hook

    def _secrets(self, hook_id: str) -> list[str]:
        return [hook_secret(key, hook_id) for key in self.signing_keys()]

    def _said(self, action: str, hook: Hook, address: str, detail: str = "") -> Event:
        """The log shows the beginning of an id only: the whole one may be an address that opens."""
        said = f"hook {hook.id[:8]}… {detail}".strip()
        return Event(self.now(), action, hook.account_id, address, said)


def signal_id_in(status: int, body: bytes) -> str:
    """What database-service says to a signal. Raises InvalidInput for a signal that it refuses, else Unavailable."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    if isinstance(said, dict) and status == 200 and "signal_id" in said:
        return str(said["signal_id"])
    error = said.get("error") if isinstance(said, dict) else None
    if isinstance(error, dict) and status in (400, 409, 413, 422):
        details = error.get("details")
        raise InvalidInput(f"{DATABASE}: {error.get('message')}", details=details if isinstance(details, list) else ())
    raise Unavailable(f"{DATABASE} answers {status}")
