"""Writes fresh messages: `data/messages.txt` for everybody, `hidden/messages.txt` for the referee.

It is not part of an evaluation. Run it once before publishing in a pool of your own: the hidden messages that
ship with the gallery can be read by anyone who has the gallery. Without `--seed` the seed comes from the
operating system and is kept nowhere, so nobody can make the same hidden messages again.
"""

import argparse
import json
import random
import secrets
from pathlib import Path

MESSAGES = 160
REGIONS = ("eu-west-1", "eu-north-2", "us-east-1", "ap-south-1")


def messages(seed: str) -> list[str]:
    """Return `MESSAGES` one-line JSON messages; the same seed gives the same messages."""
    rng = random.Random(seed)
    return [json.dumps(message(rng), separators=(",", ":")) for _ in range(MESSAGES)]


def message(rng: random.Random) -> dict[str, object]:
    """Return one message of a small shop's event stream, with frequent kinds drawn more often."""
    kinds = (page_viewed, cart_changed, order_paid, parcel_moved, login, job_done)
    kind = rng.choices(kinds, weights=(7, 6, 5, 4, 4, 3))[0]
    return kind(rng)


def page_viewed(rng: random.Random) -> dict[str, object]:
    """A page was shown."""
    return {
        "event": "storefront.page.viewed",
        "schema": "https://events.example/storefront/page-viewed/v2",
        "region": rng.choice(REGIONS),
        "session": rng.randrange(10_000, 100_000),
        "page": rng.choice(("/catalogue/garden", "/catalogue/kitchen", "/basket", "/account/orders")),
        "device": rng.choice(("desktop", "mobile")),
        "render_milliseconds": rng.randrange(20, 400),
    }


def cart_changed(rng: random.Random) -> dict[str, object]:
    """Something was put into a basket or taken out."""
    return {
        "event": "basket.item." + rng.choice(("added", "removed")),
        "schema": "https://events.example/basket/item-changed/v4",
        "region": rng.choice(REGIONS),
        "session": rng.randrange(10_000, 100_000),
        "article": {"sku": f"ART-{rng.randrange(1000):03d}", "quantity": rng.randrange(1, 5), "giftwrap": False},
        "basket_total": {"currency": "EUR", "cents": rng.randrange(500, 20_000)},
    }


def order_paid(rng: random.Random) -> dict[str, object]:
    """An order was paid."""
    return {
        "event": "checkout.order.paid",
        "schema": "https://events.example/checkout/order-paid/v3",
        "region": rng.choice(REGIONS),
        "order": rng.randrange(100_000, 1_000_000),
        "payment": {"method": rng.choice(("card", "transfer", "voucher")), "captured": True, "attempts": 1},
        "amount": {"currency": "EUR", "cents": rng.randrange(500, 20_000)},
    }


def parcel_moved(rng: random.Random) -> dict[str, object]:
    """A parcel reached the next place."""
    return {
        "event": "delivery.parcel.scanned",
        "schema": "https://events.example/delivery/parcel-scanned/v1",
        "depot": rng.choice(("Utrecht", "Leipzig", "Lyon")),
        "parcel": rng.randrange(100_000, 1_000_000),
        "status": rng.choice(("in_transit", "out_for_delivery", "handed_over")),
        "carrier": {"name": "Nordpost", "service": "standard", "tracked": True},
    }


def login(rng: random.Random) -> dict[str, object]:
    """Somebody signed in, or failed to."""
    return {
        "event": "account.login." + rng.choice(("succeeded", "failed")),
        "schema": "https://events.example/account/login/v2",
        "region": rng.choice(REGIONS),
        "customer": rng.randrange(10_000, 100_000),
        "second_factor": rng.choice(("none", "totp", "passkey")),
        "client": {"application": "storefront-web", "version": "8.14.2", "locale": "en_GB"},
    }


def job_done(rng: random.Random) -> dict[str, object]:
    """A nightly job ended."""
    return {
        "event": "scheduler.job.finished",
        "schema": "https://events.example/scheduler/job-finished/v5",
        "job": rng.choice(("rebuild-search-index", "send-newsletter", "archive-orders")),
        "outcome": "completed_without_errors",
        "duration_seconds": rng.randrange(10, 100),
        "processed_records": rng.randrange(1000, 10_000),
    }


def main() -> None:
    """Write both sets into the problem's folder."""
    parser = argparse.ArgumentParser(description="Write fresh visible and hidden messages.")
    parser.add_argument("--seed", default=None, help="any text; default: secret and not kept")
    parser.add_argument("--into", type=Path, default=Path(__file__).resolve().parent.parent, help="problem folder")
    options = parser.parse_args()
    seed = options.seed or secrets.token_hex(16)
    for folder in ("data", "hidden"):
        target = options.into / folder / "messages.txt"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("".join(f"{line}\n" for line in messages(f"{folder} {seed}")), encoding="utf-8")


if __name__ == "__main__":
    main()
