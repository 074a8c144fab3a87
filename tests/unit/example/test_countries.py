"""The country database matches the addresses of the load generator."""

from __future__ import annotations

from pathlib import Path

import maxminddb

from testbed.load_generator.population import ADDRESSES, LISTED_ADDRESS, NETWORKS, country_of

_DATABASE = Path(__file__).parents[3] / "examples" / "trust_service" / "countries.mmdb"


def test_the_database_is_up_to_date() -> None:
    with maxminddb.open_database(_DATABASE) as database:
        assert {str(network): record["country"]["iso_code"] for network, record in database} == NETWORKS
        for address in (*ADDRESSES, LISTED_ADDRESS):
            assert database.get(address) == {"country": {"iso_code": country_of(address)}}
