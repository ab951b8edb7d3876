"""The bucket as code: linted, created through an S3 endpoint, and its policy tried on our own storage code."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import botocore.exceptions
import pytest
from cfnlint import decode
from cfnlint.api import lint_all

from actionlib import storage
from pipelines import local_s3

TEMPLATE = Path(__file__).parents[2] / "infra" / "bucket" / "bucket.yaml"
BUCKET = "actionlib-policy-test"


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    parsed, problems = decode.decode(str(TEMPLATE))
    assert not problems and parsed is not None
    return dict(parsed)


def findings(text: str) -> list[str]:
    """Errors and warnings; cfn-lint also has hints on style (I...)."""
    return [str(match) for match in lint_all(text) if match.rule.id[0] in "EW"]


def test_template_is_valid() -> None:
    assert not findings(TEMPLATE.read_text())
    assert findings(TEMPLATE.read_text().replace("Status: Enabled", "Status: On")), "the linter does look"


def test_bucket_is_versioned_private_and_cleans_up(template: dict[str, Any]) -> None:
    resource = template["Resources"]["Bucket"]
    bucket = resource["Properties"]
    assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain"
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    block = bucket["PublicAccessBlockConfiguration"]
    assert len(block) == 4 and all(block.values())
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    rules = bucket["LifecycleConfiguration"]["Rules"]
    assert all(rule["Status"] == "Enabled" for rule in rules)
    merged = {key: value for rule in rules for key, value in rule.items()}
    assert merged["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    assert merged["NoncurrentVersionExpiration"]["NewerNoncurrentVersions"] == 3
    assert template["Parameters"]["NoncurrentDays"]["Default"] == 30
    assert merged["ExpiredObjectDeleteMarker"] is True
    assert not any("ExpirationInDays" in rule for rule in rules), "nothing current ever expires"


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A stack on an endpoint of its own that enforces IAM; this process has the keys of a job's role."""
    server = local_s3.start(tmp_path)
    try:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
        session = boto3.Session()  # boto3's own default would keep these keys for the whole process
        cloud = session.client("cloudformation")
        cloud.create_stack(
            StackName="data",
            TemplateBody=TEMPLATE.read_text(),
            Parameters=[{"ParameterKey": "BucketName", "ParameterValue": BUCKET}],
            Capabilities=["CAPABILITY_IAM"],
        )
        described = cloud.describe_stacks(StackName="data")["Stacks"][0]
        assert described["StackStatus"] == "CREATE_COMPLETE"
        outputs = {entry["OutputKey"]: entry["OutputValue"] for entry in described["Outputs"]}
        # moto takes only name and encryption from the template, so versioning is turned on as the template says
        session.client("s3").put_bucket_versioning(
            Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"}
        )
        iam = session.client("iam")
        iam.create_user(UserName="job")
        iam.attach_user_policy(UserName="job", PolicyArn=outputs["JobPolicyArn"])
        # moto asks for s3:HeadBucket, which AWS does not have: there s3:ListBucket covers it
        head = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:HeadBucket","Resource":"*"}]}'
        iam.put_user_policy(UserName="job", PolicyName="moto", PolicyDocument=head)
        keys = iam.create_access_key(UserName="job")["AccessKey"]
        enforce = urllib.request.Request(
            f"{server.endpoint}/moto-api/reset-auth", data=b"0", headers={"Content-Type": "text/plain"}
        )
        urllib.request.urlopen(enforce).close()
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys["SecretAccessKey"])
        yield outputs
    finally:
        local_s3.stop(server)


def test_policy_lets_jobs_work_but_not_destroy(stack: dict[str, str], tmp_path: Path) -> None:
    assert stack["Bucket"] == BUCKET
    uri = f"s3://{BUCKET}/runs"
    storage.check_readable(f"s3://{BUCKET}", "--output")
    storage.check_writable(uri, "--output")
    storage.check_versioned(uri, "--checkpoints")
    storage.write(f"{uri}/latest", b"one")
    storage.write(f"{uri}/latest", b"two")
    versions = storage.versions(f"{uri}/latest")
    assert len(versions) == 2
    assert storage.read_version(f"{uri}/latest", versions[-1].id) == b"one"
    local = tmp_path / "file"
    local.write_bytes(b"shard")
    storage.upload(local, f"{uri}/part-0")
    assert set(storage.listing(uri)) == {"latest", "part-0"}
    storage.delete(f"{uri}/part-0")

    s3 = boto3.Session().client("s3")
    destroying = {
        "delete_object": {"Key": "runs/latest", "VersionId": versions[-1].id},
        "put_bucket_versioning": {"VersioningConfiguration": {"Status": "Suspended"}},
        "put_bucket_lifecycle_configuration": {"LifecycleConfiguration": {"Rules": []}},
        "delete_bucket": {},
    }
    for call, arguments in destroying.items():
        with pytest.raises(botocore.exceptions.ClientError) as refused:
            getattr(s3, call)(Bucket=BUCKET, **arguments)
        assert refused.value.response["Error"]["Code"] == "AccessDenied", call
