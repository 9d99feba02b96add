"""Stricter jurisdictions, as data: hours and caps for a kind of message, each with its source.

Not legal advice. An account turns it on (`stricter_law`), and says which kinds of messages it
sends. Each entry was read in its source on the day it names; where sources differ, the stricter
reading is here. A statute's "after 8 p.m." closes a minute before: a hand-over takes up to half of
that (CLOSES_EARLY), and what leaves then has left in the hour that is allowed.
"""

from datetime import date, time, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from domain.calendar import Calendar, Holidays
from domain.caps import Cap
from domain.hours import Hours, window
from domain.message import Channel
from domain.window import Weekday, Window

CLOSES_EARLY = timedelta(minutes=1)


class Purpose(StrEnum):
    """What a message is for, as the laws tell messages apart."""

    MARKETING = "marketing"
    COLLECTION = "collection"
    SERVICE = "service"


class Law(NamedTuple):
    """One jurisdiction's rule. A customer is under it by country, or by the number's prefix."""

    name: str
    country: str
    subdivision: str | None
    prefixes: tuple[str, ...]
    """Of numbers in E.164. States presume by area code who lives in them."""
    channel: Channel
    purposes: frozenset[Purpose]
    hours: Hours
    caps: tuple[Cap, ...]
    statute: str
    read_at: str
    """The page that it was checked on."""
    checked: date


def laws_for(
    phone: str | None, country: str | None, channel: str, purposes: frozenset[Purpose]
) -> tuple[Law, ...]:
    """The laws that a send is under: by the number's prefix, and the country that is recorded."""
    return _laws_for(None if phone is None else phone[:_LONGEST_PREFIX], country, channel, purposes)


@lru_cache(maxsize=16_384)
def _laws_for(
    prefix: str | None, country: str | None, channel: str, purposes: frozenset[Purpose]
) -> tuple[Law, ...]:
    return tuple(
        law
        for law in LAWS
        if law.channel == channel
        and not law.purposes.isdisjoint(purposes)
        and (
            (prefix is not None and prefix.startswith(law.prefixes))
            or (law.subdivision is None and law.country == country)
        )
    )


def _hours(opens: int, closes: int, *weekdays: Weekday) -> Window:
    until = time(closes - 1, 60 - CLOSES_EARLY.seconds // 60)
    return window(time(opens), until, frozenset(weekdays or Weekday))


def _holidays_of(country: str) -> Calendar:
    # Not validated: that would load the library, for everyone who imports this.
    return Calendar(Holidays.model_construct(country=country))


_MARKETING = frozenset({Purpose.MARKETING})
_THREE_A_DAY = (Cap(at_most=3, period=timedelta(days=1), channel=Channel.SMS),)
_SUN = (Weekday.SUN,)
_MON_TO_SAT = tuple(day for day in Weekday if day not in _SUN)
_CHECKED = date(2026, 11, 25)


def _state(
    state: str,
    area_codes: str,
    hours: tuple[Window, ...],
    statute: str,
    read_at: str,
    caps: tuple[Cap, ...] = (),
) -> Law:
    return Law(
        name=f"US-{state}",
        country="US",
        subdivision=state,
        prefixes=tuple(f"+1{code}" for code in area_codes.split()),
        channel=Channel.SMS,
        purposes=_MARKETING,
        hours=Hours(hours),
        caps=caps,
        statute=statute,
        read_at=read_at,
        checked=_CHECKED,
    )


LAWS: tuple[Law, ...] = (
    Law(
        name="US",
        country="US",
        subdivision=None,
        # All of the North American plan: which of it lies in the United States changes too often.
        prefixes=("+1",),
        channel=Channel.SMS,
        purposes=_MARKETING,
        hours=Hours((_hours(8, 21),)),
        caps=(),
        statute="47 CFR 64.1200(c)(1): telephone solicitations 8 a.m. to 9 p.m. local time",
        read_at="https://www.nwdebtresolution.com/post/"
        "telephone-consumer-protection-act-call-time-restrictions",
        checked=_CHECKED,
    ),
    _state(
        "FL",
        "239 305 321 324 352 386 407 448 561 645 656 689 727 728 754 772 786 813 850 863 904 "
        "941 954",
        (_hours(8, 20),),
        # Three "on the same subject matter": what two messages have in common, nobody tells us.
        "Fla. Stat. 501.616(6)(a)-(b), 501.059: 8 a.m. to 8 p.m., three in 24 hours",
        "https://flsenate.gov/Session/Bill/2021/1120/BillText/er/HTML",
        _THREE_A_DAY,
    ),
    _state(
        "OK",
        "405 539 572 580 918",
        (_hours(8, 20),),
        "15 Okla. Stat. 775C.4: 8 a.m. to 8 p.m., three in 24 hours",
        "https://www.ropesdataphiles.com/2022/12/"
        "oklahomas-new-restrictive-telemarketing-law-could-other-states-be-next/",
        _THREE_A_DAY,
    ),
    _state(
        "MD",
        "227 240 301 410 443 667",
        (_hours(8, 20),),
        "Md. Code, Com. Law 14-4502 (Stop the Spam Calls Act of 2023): 8 a.m. to 8 p.m., three in "
        "24 hours",
        "https://www.dnc.com/index.php/news/maryland-governor-signs-stop-spam-calls-act-2023-law",
        _THREE_A_DAY,
    ),
    _state(
        "TX",
        "210 214 254 281 325 346 361 409 430 432 469 512 621 682 713 726 737 806 817 830 832 903 "
        "915 936 940 945 956 972 979",
        (_hours(9, 21, *_MON_TO_SAT), _hours(12, 21, *_SUN)),
        "Tex. Bus. & Com. Code 301.051, and 302.001, 304.002 for texts (S.B. 140 of 2025): 9 a.m. "
        "to 9 p.m., Sunday from noon",
        "https://www.cloudcommunications.com/news/texas-senate-bill-140",
    ),
    _state(
        "CT",
        "203 475 860 959",
        (_hours(9, 20),),
        "Conn. Gen. Stat. 42-288a (P.A. 23-98): 9 a.m. to 8 p.m.",
        "https://mondaq.co.uk/unitedstates/advertising-marketing--branding/1340464/"
        "revised-connecticut-telemarketing-law-signed-into-law",
    ),
    Law(
        name="FR",
        country="FR",
        subdivision=None,
        prefixes=("+33",),
        channel=Channel.SMS,
        purposes=_MARKETING,
        hours=Hours((_hours(8, 20, *_MON_TO_SAT),), _holidays_of("FR")),
        caps=(),
        # D. 223-9 code de la consommation (weekdays 10 to 13 and 14 to 20) is about calls.
        statute="the mobile operators' rules for marketing texts: 8:00 to 20:00, neither Sundays "
        "nor public holidays",
        read_at="https://sendtargetsms.com/fr/horaires-legaux-sms/",
        checked=_CHECKED,
    ),
)

LAW_VERSION = _CHECKED.isoformat()
"""Recorded with each decision that looked here."""

_LONGEST_PREFIX = max(len(prefix) for law in LAWS for prefix in law.prefixes)
