"""The agent of a host: has its hypervisor run what the records say (`agent`, `work`, `doings`), and says what it sees
(`standing`, `watching`)."""
