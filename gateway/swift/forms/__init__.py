"""Uploads by forms from browsers."""

from gateway.swift.forms.formpost import is_form, post

__all__ = ["is_form", "post"]
