"""What setup.py decides before it compiles, and the record that it leaves."""
