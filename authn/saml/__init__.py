"""This cloud as an identity provider of SAML 2.0, for other clouds: stock Keystone's "Keystone to Keystone"."""
