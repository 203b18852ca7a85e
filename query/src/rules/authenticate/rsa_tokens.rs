//! A public key of RSA and tokens that its private one, which is gone, has signed until 2100.

/// The modulus; the exponent is AQAB, the id `rsa`.
pub(super) const RSA_MODULUS: &str = "\
     zfFw8UtjX2vq1sY3ZnxVt1uxCgVyr9dbKl6E7iUC7wwmjmWqokTlsa_48qTPU2aAT5pavzl-Jm6XqiIWjm9x\
     aoK0HlqIpacAEu44gZdNfskiG8X9rw2HnGUqj14TGBo5wMAM6A_B6He72BtrpyTzm4_xmuu9fRRFaLhqCobq\
     o7-vWUkrkxsqXf2mdtOlsXq7jwwL5h2lflVR-VqfutBrZSkk8ocqzRvebIJGzqEm8-xF8wnbVbVv3VmljZh1\
     QoSz4KFCT_r1gPGcunjd_3AYNxmx2sl4axTe3oZvKJECwbXD9aJ-mCAggTl8X1kpgocjREp40WJQumu4uChe\
     GiGvsQ";

/// A token of `rosa`.
pub(super) const RS256: &str = "\
     eyJhbGciOiAiUlMyNTYiLCAia2lkIjogInJzYSJ9.eyJpc3MiOiAiaHR0cHM6Ly9pc3N1ZXIuZXhhbXBsZSI\
     sICJhdWQiOiAicmlza3N0cmVhbSIsICJzdWIiOiAicm9zYSIsICJleHAiOiA0MTAyNDQ0ODAwfQ.JLcWJfbu\
     0YTOb8mxQXMMYb39VTPtKL2ZiY5CT7YNVSAU9ahXccqKFAKpUMHgkjjLTdKKKJhkCkMV_RATzZMH_KZI53jo\
     VKh8Mm-_du3cEUMT_S_iR4Nv16Nr2FLPv8285bL10TfhQBfGEWMaBtfqy8L5tTZMKj0Zwn4K5IMpyuzAnZNK\
     WqoAfEwYWbpBCDa-Z7qCIPkt8vaTXR1DKfF5_Zc5SeaNHtX1wUU10OLBiWPbR1BxD4PvC0C1I0nam-OejCHT\
     ybBpkl5-yabRdXBa5U5VzjS-sqq6g353Kb9I5eWInlw_mnLtMhEKzqb_h6YaJWMavqJJOQmQvpV_IWOSiA";

/// The same, signed with PSS.
pub(super) const PS256: &str = "\
     eyJhbGciOiAiUFMyNTYiLCAia2lkIjogInJzYSJ9.eyJpc3MiOiAiaHR0cHM6Ly9pc3N1ZXIuZXhhbXBsZSI\
     sICJhdWQiOiAicmlza3N0cmVhbSIsICJzdWIiOiAicm9zYSIsICJleHAiOiA0MTAyNDQ0ODAwfQ.YmXKI_3n\
     N0v-m925STE9P5eDqziWHPngEoVxAbCOqFB3iA9S5fI0OtmmPwV4KVCMVbkUtrlV54-4Au5RjTCSlTfZfSnl\
     NGjHdOy_yeF0os4UdzdV7t7g1aoSc5kTlFjxDj8PwNoMcfXxX6ZmUYguGxDsmF3kDSiH7G1j-cyGqKlOzfuO\
     _NobpvRPqI_u3DnLxkeTLxIYRqpoHnz8t0vmKWZI-amAKibZNQrP0o0RwDuVwKvxmPMbfOLLJjpvQ1KLUHO_\
     UkHU_nr7L70eFwtKsgNlWs9-7sUWGP2myHMbJHFsK46vsGxJmMh0b9g6QP4S3TdWzbCqe17yIEdM-LFbbw";
