FROM python:3.11-slim AS server
WORKDIR /app
COPY requirements.lock ./
RUN pip install --no-cache-dir --require-hashes -r requirements.lock
COPY domain domain
COPY storage storage
COPY registries registries
COPY resolvers resolvers
COPY schema schema
COPY monitor monitor
COPY server server
RUN useradd --system --create-home rollwave
USER rollwave
# The rooms have plain names: ours come first, whatever else is installed.
ENV PYTHONPATH=/app PYTHONUNBUFFERED=1 ROLLWAVE_HOST=0.0.0.0
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
CMD ["python", "-m", "server"]

FROM server AS demo
USER root
COPY requirements-dev.lock ./
RUN pip install --no-cache-dir --require-hashes -r requirements-dev.lock
COPY tools tools
USER rollwave
HEALTHCHECK NONE
CMD ["python", "-m", "tools.demo"]
