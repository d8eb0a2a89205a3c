"""What all resources share: requests, answers, lists, times."""
