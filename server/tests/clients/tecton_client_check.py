"""Asks a running Gannet through tecton-client, sync and async, as an existing caller would. Exits non-zero on the first lie.

usage: tecton_client_check.py URL KEY      (URL of a quickstart server)
"""
import asyncio
import sys

import httpx
from tecton_client import AsyncTectonClient, MetadataOptions, RequestOptions, TectonClient
from tecton_client.exceptions import BadRequestError, NotFoundError, UnauthorizedError

url, key = sys.argv[1:]
FRAUD = {"feature_service_name": "fraud_detection_feature_service", "join_key_map": {"user_id": "C1000262126"}}
NAMES = [
    "transaction_amount_is_high.transaction_amount_is_high",
    "transaction_amount_is_higher_than_average.transaction_amount_is_higher_than_average",
    "last_transaction_amount_sql.amount",
    "transaction_amount_last_1000d.sum",
]


def refused(error, text, call):
    try:
        call()
    except error as e:
        assert text in str(e), f"{e!r} does not say {text!r}"
        return
    raise AssertionError(f"expected {error.__name__}")


def check_fraud(response, in_time):
    """`in_time`: whether the view that the quickstart slows down by 250 ms was waited for."""
    assert response.result.features[:3] == ["0", "1", 216409], response.result.features
    features = response.metadata["features"]
    assert [f["name"] for f in features] == NAMES
    assert [f["dataType"] for f in features] == [{"type": t} for t in ("int64", "int64", "float64", "int64")]
    assert [f["status"] for f in features] == ["PRESENT"] * 3 + ["PRESENT" if in_time else "TIME_OUT"], features
    # The first two stand for realtime views, which have none; nor has what did not come in time.
    assert ["effectiveTime" in f for f in features] == [False, False, True, in_time], features
    assert features[2]["effectiveTime"] == "2021-08-21T01:23:58.996Z"
    slo = response.slo_info
    assert slo.slo_eligible is not in_time, slo  # reads of more than 25 ms are not; what was cut off was not read
    assert 0 <= slo.slo_server_time_seconds <= slo.server_time_seconds < 2
    assert slo.store_response_size_bytes > 0 and slo.store_max_latency >= 0
    values = response.get_features_dict()
    assert list(values) == NAMES
    assert values[NAMES[0]] == 0 and values[NAMES[1]] == 1 and values[NAMES[2]] == 216409
    assert isinstance(values[NAMES[3]], int) if in_time else values[NAMES[3]] is None


def check_sync():
    client = TectonClient(url=url, api_key=key, default_workspace_name="prod")
    budget = RequestOptions(latency_budget_ms=200)
    golden = client.get_features(**FRAUD, metadata_options=MetadataOptions.all(), request_options=budget)
    check_fraud(golden, in_time=False)
    assert golden.result.features == ["0", "1", 216409, None]
    with_amount = client.get_features(
        **FRAUD, request_context_map={"amount": 50000000.0}, metadata_options=MetadataOptions.all()
    )
    check_fraud(with_amount, in_time=True)

    bare = client.get_features(**FRAUD)
    assert bare.metadata is None and bare.slo_info is None and len(bare.result.features) == 4

    bench = client.get_features(
        feature_service_name="fraud_bench",
        join_key_map={"user_id": "C0000000007"},
        metadata_options=MetadataOptions.all(),
        workspace_name="prod",
    )
    assert bench.get_features_dict() == {
        "last_transaction_amount.amount": 0.07,
        "user_profile.account_age_days": 7,
        "user_profile.country": "BR",
        "user_profile.verified": False,
        "user_risk.chargebacks": 1,
        "user_risk.last_merchant": "M000007",
        "user_risk.score": 0.007,
        "user_transaction_counts.count_1d": 0,
        "user_transaction_counts.count_30d": 7,
        "user_transaction_counts.count_7d": 7,
    }, bench.get_features_dict()

    delay = client.get_features(
        feature_service_name="delay_model",
        join_key_map={"tail_number": "N14228", "origin": "EWR", "carrier": "UA"},
        metadata_options=MetadataOptions.all(),
    ).get_features_dict()
    assert delay["plane_attributes.seats"] == 149 and delay["plane_attributes.engine"] == "Turbo-fan", delay
    assert len(delay) == 11 and delay["plane_latest_flight.distance_miles"] > 0

    absent = client.get_features(
        feature_service_name="fraud_bench",
        join_key_map={"user_id": "nobody"},
        metadata_options=MetadataOptions.all(),
    )
    assert absent.result.features == [None] * 10
    assert {f["status"] for f in absent.metadata["features"]} == {"MISSING_DATA"}
    null = client.get_features(feature_service_name="fraud_bench", join_key_map={"user_id": None})
    assert null.result.features == [None] * 10

    call = client.get_features
    refused(BadRequestError, "Missing required join key: user_id", lambda: call(**FRAUD | {"join_key_map": {}}))
    unknown = {"join_key_map": {"user_id": "C1000262126", "shoe": "8"}}
    refused(BadRequestError, "Unknown join key: shoe, expected one of: [user_id]", lambda: call(**FRAUD | unknown))
    wrong = {"join_key_map": {"user_id": 7}}
    text = "Unexpected JSON type for user_id in joinKeyMap. Expected string or null."
    refused(BadRequestError, text, lambda: call(**FRAUD | wrong))
    text = "Unable to query FeatureService `no_such` for workspace `prod`."
    refused(NotFoundError, text, lambda: call(**FRAUD | {"feature_service_name": "no_such"}))
    refused(NotFoundError, "for workspace `elsewhere`", lambda: call(**FRAUD, workspace_name="elsewhere"))
    stranger = TectonClient(url=url, api_key="wrong", default_workspace_name="prod")
    refused(UnauthorizedError, "invalid 'Tecton-key' authorization header", lambda: stranger.get_features(**FRAUD))


async def check_async():
    async with httpx.AsyncClient() as session:
        client = AsyncTectonClient(url=url, api_key=key, default_workspace_name="prod", client=session)
        calls = [client.get_features(**FRAUD, metadata_options=MetadataOptions.all()) for _ in range(50)]
        for response in await asyncio.gather(*calls):
            check_fraud(response, in_time=True)
        try:
            await client.get_features(**FRAUD | {"join_key_map": {}})
        except BadRequestError as e:
            assert "Missing required join key: user_id" in str(e)
        else:
            raise AssertionError("expected BadRequestError")


check_sync()
asyncio.run(check_async())
print("ok")
