"""Tempest's and openstackclient's own tests of identity against a fresh Drystone: `make conformance-openstack`."""
