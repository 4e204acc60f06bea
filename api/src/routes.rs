//! The route table, one match on one screen.

use gannet_engine::http::Method;

/// What is asked for, before anything is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    GetFeatures,
    /// Records of stream sources.
    Ingest,
    /// Keys that are to be forgotten.
    DeleteKeys,
    Healthz,
    Readyz,
    Metrics,
    /// `/metrics` as Tecton's dashboards know it.
    Observability,
    /// 204 with these methods. Needs no key: what may be called is no secret.
    Options {
        allow: &'static str,
    },
    MethodNotAllowed {
        allow: &'static str,
    },
    NotFound,
}

/// Finds the route. Every `/api/v1/...` path is also served under `/v1/...`; paths are compared byte by byte.
pub(crate) fn route(method: Method, path: &[u8]) -> Route {
    use Method::{Delete, Get, Head, Options, Post};
    const POST: &str = "POST, OPTIONS";
    const WRITE: &str = "POST, DELETE, OPTIONS";
    const GET: &str = "GET, HEAD, OPTIONS";
    const ANY: &str = "GET, HEAD, POST, DELETE, OPTIONS";
    let api = path.strip_prefix(b"/api").unwrap_or(path);
    match (method, path, api) {
        (Post, _, b"/v1/feature-service/get-features") => Route::GetFeatures,
        (Post, _, _) if is_ingest(path) => Route::Ingest,
        (Delete, _, _) if is_ingest(path) => Route::DeleteKeys,
        (Get | Head, b"/healthz", _) => Route::Healthz,
        (Get | Head, b"/readyz", _) => Route::Readyz,
        (Get | Head, b"/metrics", _) => Route::Metrics,
        (Get | Head, _, b"/v1/observability/metrics") => Route::Observability,

        (Options, b"*", _) => Route::Options { allow: ANY },
        (Options, _, b"/v1/feature-service/get-features") => Route::Options { allow: POST },
        (Options, _, _) if is_ingest(path) => Route::Options { allow: WRITE },
        (Options, b"/healthz" | b"/readyz" | b"/metrics", _) => Route::Options { allow: GET },
        (Options, _, b"/v1/observability/metrics") => Route::Options { allow: GET },

        (_, _, b"/v1/feature-service/get-features") => Route::MethodNotAllowed { allow: POST },
        (_, _, _) if is_ingest(path) => Route::MethodNotAllowed { allow: WRITE },
        (_, b"/healthz" | b"/readyz" | b"/metrics", _) => Route::MethodNotAllowed { allow: GET },
        (_, _, b"/v1/observability/metrics") => Route::MethodNotAllowed { allow: GET },
        _ => Route::NotFound,
    }
}

/// Whether the path is the one that writes go to, whatever the method: its errors have a shape of their own.
pub(crate) fn is_ingest(path: &[u8]) -> bool {
    matches!(path, b"/ingest" | b"/v1/ingest" | b"/api/v1/ingest")
}

impl Route {
    /// Whether it is answered without a key. The probes' paths are public whatever the method.
    pub(crate) fn is_public(self, path: &[u8]) -> bool {
        match self {
            Self::Healthz | Self::Readyz | Self::Metrics | Self::Options { .. } => true,
            Self::MethodNotAllowed { .. } => matches!(path, b"/healthz" | b"/readyz" | b"/metrics"),
            Self::GetFeatures | Self::Ingest | Self::DeleteKeys | Self::Observability | Self::NotFound => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_api_path_has_two_prefixes_and_nothing_else_matches() {
        let check = |method, path: &str, expected| assert_eq!(route(method, path.as_bytes()), expected, "{path}");
        check(Method::Post, "/api/v1/feature-service/get-features", Route::GetFeatures);
        check(Method::Post, "/v1/feature-service/get-features", Route::GetFeatures);
        check(Method::Post, "/api/api/v1/feature-service/get-features", Route::NotFound);
        check(Method::Post, "/api/v1/feature-service/get-features/", Route::NotFound);
        check(Method::Post, "/API/v1/feature-service/get-features", Route::NotFound);
        check(Method::Get, "/api/v1/observability/metrics", Route::Observability);
        check(Method::Head, "/v1/observability/metrics", Route::Observability);
        check(Method::Post, "/v1/observability/metrics", Route::MethodNotAllowed { allow: "GET, HEAD, OPTIONS" });
        check(Method::Get, "/api/healthz", Route::NotFound);
        check(Method::Head, "/healthz", Route::Healthz);
        check(Method::Get, "/v1/feature-service/get-features", Route::MethodNotAllowed { allow: "POST, OPTIONS" });
        check(Method::Trace, "/metrics", Route::MethodNotAllowed { allow: "GET, HEAD, OPTIONS" });
        for path in ["/ingest", "/v1/ingest", "/api/v1/ingest"] {
            check(Method::Post, path, Route::Ingest);
            check(Method::Delete, path, Route::DeleteKeys);
            check(Method::Options, path, Route::Options { allow: "POST, DELETE, OPTIONS" });
            check(Method::Get, path, Route::MethodNotAllowed { allow: "POST, DELETE, OPTIONS" });
        }
        check(Method::Post, "/api/ingest", Route::NotFound);
        check(Method::Post, "/ingest/", Route::NotFound);
        check(Method::Options, "*", Route::Options { allow: "GET, HEAD, POST, DELETE, OPTIONS" });
        check(Method::Get, "*", Route::NotFound);
    }
}
