FROM python:3.13-slim
WORKDIR /app
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

# The lock as constraints: the tested versions of what runs, without the tools of development.
COPY pyproject.toml requirements.lock LICENSE ./
COPY core core
COPY connectors connectors
COPY sync sync
COPY webhooks webhooks
COPY intelligence intelligence
COPY api api
COPY sandbox sandbox
COPY simulation simulation
COPY cli cli
RUN pip install --constraint requirements.lock . \
 && useradd --create-home turnbuckle
USER turnbuckle
EXPOSE 8800
CMD ["turnbuckle", "serve", "--host", "0.0.0.0", "--port", "8800"]
