"""What an SMTP server's word, or its silence, means for the message. As docs/channels.md says."""

import re
import ssl

from aiosmtplib.response import SMTPResponse

from channels.smtp_stages import MissingExtensionError, RefusedError, Stage
from domain.message import Answer, Result

_ENHANCED_CODE = re.compile(r"[245]\.\d{1,3}\.\d{1,3}(?!\S)")
_SIGN_IN_CODES = {530, 534, 535, 538}
_LONGEST_ID = 100
_NOBODY_THERE = {"5.1.1", "5.1.2", "5.1.6", "5.1.10", "5.2.1"}
"""No such mailbox, no such domain, moved away, takes no mail (null MX), disabled: RFC 3463 3.2 and
3.3, RFC 7505 4.2. A 550 without one of these may be for our words or our name: it tells nothing."""
_TAKES_NO_MAIL = 556  # of a whole domain: RFC 7504 2
_ABOUT_THE_MESSAGE = {Stage.RECIPIENT, Stage.DATA, Stage.FINAL_DOT}
_TO_FIX = {
    Stage.CONNECTION: "It refuses this machine: ask its operator.",
    Stage.HELLO: "It refuses this machine's name: set ?hello= to one that DNS knows.",
    Stage.STARTTLS: "Its TLS is broken: ask its operator, or use smtps://.",
    Stage.SIGN_IN: "Correct the user name and password in the URL.",
    Stage.SENDER: "Let this account send from the sender's address, or change the sender.",
    Stage.RECIPIENT: "It does not relay for us: sign in (user:password@ in the URL).",
}


def accepted(reply: SMTPResponse, name: str) -> Result:
    """The provider's id is what servers put into this reply, less words that are addresses."""
    words = _ENHANCED_CODE.sub("", reply.message, count=1).split()
    provider_id = " ".join(word for word in words if "@" not in word)[:_LONGEST_ID]
    return Result(Answer.ACCEPTED, f"{name} answered {reply.code}", provider_id or None)


def refused(error: RefusedError, name: str) -> Result:
    """What a reply other than yes means."""
    enhanced = _ENHANCED_CODE.match(error.text)
    said = f"{name} answered {error.code}{f' {enhanced[0]}' if enhanced else ''} to {error.stage}"
    kind = error.code // 100
    if kind == 5 and _is_about_us(error):  # noqa: PLR2004 - RFC 5321 4.2.1: permanent
        return Result(Answer.TEMPORARY, f"{said}. {_to_fix(error)}")
    if kind == 5:  # noqa: PLR2004 - as above
        nobody = error.code == _TAKES_NO_MAIL or (enhanced and enhanced[0] in _NOBODY_THERE)
        return Result(Answer.NO_SUCH_RECIPIENT if nobody else Answer.PERMANENT, said)
    if kind != 4 and error.stage is Stage.FINAL_DOT:  # noqa: PLR2004 - RFC 5321 4.2.1: temporary
        return Result(Answer.UNKNOWN, f"{said}, which means neither yes nor no")
    return Result(Answer.TEMPORARY, said)


def no_word(stage: Stage, what: str, name: str) -> Result:
    """What it means that the conversation ended without a reply."""
    if stage is Stage.FINAL_DOT:
        return Result(Answer.UNKNOWN, f"{name}: {what} after the final dot: it may have been taken")
    return Result(Answer.TEMPORARY, f"{name}: {what} after {stage}: nothing was delivered")


def unreachable(error: Exception, name: str) -> Result:
    """Why there is no connection to send anything over."""
    if isinstance(error, MissingExtensionError):
        reason = str(error)
    elif isinstance(error, ssl.SSLCertVerificationError):
        reason = (
            f"its certificate is not trusted ({error.verify_message}). Use the name that is in "
            "it, or add ?ca= with the file of the authority that signed it; for a "
            "server on this machine, ?starttls=never."
        )
    elif isinstance(error, ssl.SSLError):
        reason = "TLS failed. Use smtps:// where it encrypts from the start, else smtp://."
    elif isinstance(error, TimeoutError):
        reason = "no answer in time. See that the host and port are right and a firewall lets us."
    else:
        known = error.strerror if isinstance(error, OSError) else "the connection was lost"
        reason = f"{known or error}. See that the host and port are right and the server runs."
    return Result(Answer.TEMPORARY, f"Cannot connect to {name}: {reason}")


def _is_about_us(error: RefusedError) -> bool:
    if error.stage not in _ABOUT_THE_MESSAGE or error.code in _SIGN_IN_CODES:
        return True
    # The same codes refuse a recipient and a client that has not signed in; the words differ.
    return error.stage is Stage.RECIPIENT and "relay" in error.text.lower()


def _to_fix(error: RefusedError) -> str:
    stage = Stage.SIGN_IN if error.code in _SIGN_IN_CODES else error.stage
    return _TO_FIX.get(stage, "Ask its operator.")
