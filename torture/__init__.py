"""The torture run: a daemon that is killed again and again under load, judged by three ledgers."""
