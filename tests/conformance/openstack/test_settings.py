"""What the suites are told, and how they are counted; it runs without them."""

from __future__ import annotations

import json
import tomllib
from configparser import ConfigParser
from dataclasses import replace

from authn.password_rules import parse_password_rules
from compute_plugin.config import parse_compute_config
from compute_plugin.v2.app import MICROVERSIONS
from tests.conformance.openstack.settings import Cloud, clouds_yaml, identity_config, tempest_conf
from tests.conformance.openstack.suites import API, CLIENT, RBAC

CLOUD = Cloud("http://127.0.0.1:8080/", "pa$$ %word", region="North")


def _read(text: str) -> ConfigParser:
    parser = ConfigParser(interpolation=None)
    parser.read_string(text)
    return parser


def test_tempest_is_told_where_identity_is_and_who_administers_it() -> None:
    read = _read(tempest_conf(CLOUD, "/logs"))
    assert read["identity"]["uri_v3"] == "http://127.0.0.1:8080/identity/v3"
    assert read["identity"]["region"] == "North"
    assert read["auth"]["admin_password"] == "pa$$$$ %word", "oslo.config takes $ for a reference, and $$ for $"
    assert "admin_system" not in read["auth"]
    assert read["oslo_concurrency"]["lock_path"].startswith("/logs/")


def test_the_administrator_may_be_that_of_the_system() -> None:
    assert _read(tempest_conf(CLOUD, "/logs", system=True))["auth"]["admin_system"] == "all"


def test_rules_for_passwords_are_tested_where_the_cloud_has_some() -> None:
    assert _read(tempest_conf(CLOUD, "/logs"))["identity-feature-enabled"]["security_compliance"] == "false"
    read = _read(tempest_conf(replace(CLOUD, password_rules=API.password_rules), "/logs"))
    assert read["identity-feature-enabled"]["security_compliance"] == "true"
    told = parse_password_rules(tomllib.loads(identity_config(API.password_rules))["security_compliance"])
    assert read["identity"]["user_unique_last_password_count"] == str(told.unique_last_password_count) == "2"
    assert read["identity"]["user_lockout_failure_attempts"] == str(told.lockout_failure_attempts) == "2"
    assert read["identity"]["user_lockout_duration"] == str(told.lockout_duration) == "5"


def test_openstackclient_has_a_cloud_in_the_project_and_one_in_the_system() -> None:
    clouds = json.loads(clouds_yaml(CLOUD))["clouds"]
    project, system = clouds["devstack-admin"]["auth"], clouds["devstack-system-admin"]["auth"]
    assert project.keys() - system.keys() == {"project_name", "project_domain_id"}
    assert project["project_name"] == "admin"
    assert system["system_scope"] == "all"
    assert "system_scope" not in project
    assert {project["auth_url"], system["auth_url"]} == {"http://127.0.0.1:8080/identity"}
    assert {project["password"], system["password"]} == {"pa$$ %word"}


def test_a_part_of_a_suite_is_not_held_against_the_reference_and_a_test_that_is_missing_shows() -> None:
    assert API.summary(18, 176, whole=True) == "tempest identity: 18 passed of 176 (reference 172)"
    assert API.summary(18, 100, whole=True) == "tempest identity: 18 passed of 100, 176 expected (reference 172)"
    assert RBAC.summary(3, 1936, whole=True) == "tempest rbac: 3 passed of 1936"
    assert CLIENT.summary(3, 4, whole=False) == "openstackclient functional: 3 passed of 4 chosen ones"


def test_servers_are_tested_where_the_cloud_has_some() -> None:
    assert _read(tempest_conf(CLOUD, "/logs"))["service_available"]["nova"] == "false"
    cloud = replace(CLOUD, flavors=("42", "84"), image="one", other_image="two")
    read = _read(tempest_conf(cloud, "/logs"))
    assert read["service_available"]["nova"] == "true"
    assert (read["compute"]["flavor_ref"], read["compute"]["flavor_ref_alt"]) == ("42", "84")
    assert (read["compute"]["image_ref"], read["compute"]["image_ref_alt"]) == ("one", "two")
    assert read["compute"]["max_microversion"] == str(MICROVERSIONS.most)


def test_the_cloud_is_told_what_its_servers_run_on() -> None:
    told = tomllib.loads(identity_config({}, "qemu:///embed?root=/tmp/x"))
    assert parse_compute_config(told["compute"]).settings.hypervisor == "qemu:///embed?root=/tmp/x"
    assert "compute" not in tomllib.loads(identity_config({}))
