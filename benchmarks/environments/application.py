"""The application whose start is measured."""

from fastapi import FastAPI

app = FastAPI()
