"""Several proxies with one login budget: their stores, real ones and one whose clock the test moves."""
