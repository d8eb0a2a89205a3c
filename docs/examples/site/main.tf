terraform {
  required_providers {
    openstack = { source = "terraform-provider-openstack/openstack" }
  }
}
provider "openstack" {}

data "openstack_networking_network_v2" "outside" { name = "outside" }

resource "openstack_networking_network_v2" "lan" { name = "site" }
resource "openstack_networking_subnet_v2" "lan" {
  network_id = openstack_networking_network_v2.lan.id
  cidr       = "10.9.0.0/24"
}
resource "openstack_networking_router_v2" "edge" {
  name                = "site"
  external_network_id = data.openstack_networking_network_v2.outside.id
}
resource "openstack_networking_router_interface_v2" "edge" {
  router_id = openstack_networking_router_v2.edge.id
  subnet_id = openstack_networking_subnet_v2.lan.id
}
resource "openstack_networking_secgroup_v2" "web" { name = "site" }
resource "openstack_networking_secgroup_rule_v2" "ping" {
  direction         = "ingress"
  ethertype         = "IPv4"
  protocol          = "icmp"
  security_group_id = openstack_networking_secgroup_v2.web.id
}
resource "openstack_images_image_v2" "guest" {
  name             = "site"
  local_file_path  = "guest.raw"
  container_format = "bare"
  disk_format      = "raw"
}
resource "openstack_compute_keypair_v2" "key" { name = "site" }
resource "openstack_blockstorage_volume_v3" "data" {
  name = "site"
  size = 1
}
resource "openstack_compute_instance_v2" "web" {
  name            = "site"
  image_id        = openstack_images_image_v2.guest.id
  flavor_name     = "m1.tiny"
  key_pair        = openstack_compute_keypair_v2.key.name
  security_groups = [openstack_networking_secgroup_v2.web.name]
  network { uuid = openstack_networking_network_v2.lan.id }
  metadata   = { made = "by tofu" }
  depends_on = [openstack_networking_subnet_v2.lan]
}
resource "openstack_compute_volume_attach_v2" "data" {
  instance_id = openstack_compute_instance_v2.web.id
  volume_id   = openstack_blockstorage_volume_v3.data.id
}
resource "openstack_networking_floatingip_v2" "web" { pool = "outside" }
data "openstack_networking_port_v2" "web" {
  device_id  = openstack_compute_instance_v2.web.id
  network_id = openstack_networking_network_v2.lan.id
}
resource "openstack_networking_floatingip_associate_v2" "web" {
  floating_ip = openstack_networking_floatingip_v2.web.address
  port_id     = data.openstack_networking_port_v2.web.id
  depends_on  = [openstack_networking_router_interface_v2.edge]
}
output "address" { value = openstack_networking_floatingip_v2.web.address }
