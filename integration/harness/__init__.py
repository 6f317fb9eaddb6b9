"""Launches servers, puts them through scenarios, asks probes, keeps and renders the results."""
