//! What comes first on a connection: a request for encryption, to cancel, or to begin.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::postgres::error::Problem;
use crate::postgres::shared::Shared;
use crate::postgres::wire::Stream;

const SSL_REQUEST: i32 = 80_877_103;
const GSS_REQUEST: i32 = 80_877_104;
const CANCEL_REQUEST: i32 = 80_877_102;
/// Longest first message.
const FIRST_BYTES_MAX: usize = 10_000;
/// Bytes of the length and the code in front of a first message.
const FIRST_BYTES_MIN: usize = 8;
/// Bytes of a CancelRequest.
const CANCEL_BYTES: usize = 16;

/// What the client wants.
#[derive(Debug)]
pub(super) enum First {
    /// To begin: the version and the parameters.
    Begin { stream: Stream, version: i32, parameters: Vec<u8> },
    /// To stop the statement of a connection.
    Cancel { pid: i32, secret: i32 },
    /// Nothing that can be answered.
    Refuse { stream: Stream, problem: Problem },
}

/// Reads what comes first, and encrypts if that is asked for. None: the client has gone, or has
/// sent in clear what should have come encrypted.
pub(super) async fn first(shared: &Shared, socket: TcpStream) -> Option<First> {
    let mut stream = Stream::Plain(socket);
    let (mut may_encrypt, mut may_gss) = (true, true);
    loop {
        let (code, body) = match packet(&mut stream).await? {
            Ok(packet) => packet,
            Err(problem) => return Some(First::Refuse { stream, problem }),
        };
        match code {
            SSL_REQUEST if may_encrypt && body.is_empty() => {
                may_encrypt = false;
                stream = encrypt(shared, stream).await?;
                may_gss &= !stream.is_encrypted();
            }
            GSS_REQUEST if may_gss && body.is_empty() => {
                may_gss = false;
                answer(&mut stream, b'N').await?;
            }
            CANCEL_REQUEST => {
                let (pid, rest) = body.split_first_chunk::<4>()?;
                let secret = rest.first_chunk::<4>()?;
                if body.len() != CANCEL_BYTES - FIRST_BYTES_MIN {
                    return None;
                }
                return Some(First::Cancel {
                    pid: i32::from_be_bytes(*pid),
                    secret: i32::from_be_bytes(*secret),
                });
            }
            version => return Some(First::Begin { stream, version, parameters: body }),
        }
    }
}

/// A message without a type: its code and what follows it. No byte behind it is read.
pub(super) async fn packet<R: AsyncRead + Unpin>(
    stream: &mut R,
) -> Option<Result<(i32, Vec<u8>), Problem>> {
    let length = stream.read_i32().await.ok()?;
    let length = usize::try_from(length).unwrap_or(0);
    if !(FIRST_BYTES_MIN..=FIRST_BYTES_MAX).contains(&length) {
        return Some(Err(Problem::fatal("08P01", "invalid length of startup packet")));
    }
    let code = stream.read_i32().await.ok()?;
    let mut body = vec![0; length - FIRST_BYTES_MIN];
    stream.read_exact(&mut body).await.ok()?;
    Some(Ok((code, body)))
}

/// Answers a request by one byte. A client that does not wait for it has sent in clear what is
/// meant to be encrypted, or somebody else has: the connection ends.
async fn answer(stream: &mut Stream, byte: u8) -> Option<()> {
    if let Stream::Plain(socket) = stream {
        let mut next = [0; 1];
        // Nothing may be there yet; whether the client has gone shows later.
        if socket.try_read(&mut next).is_ok() {
            return None;
        }
    }
    stream.write_all(&[byte]).await.ok()?;
    stream.flush().await.ok()
}

async fn encrypt(shared: &Shared, mut stream: Stream) -> Option<Stream> {
    let Some(tls) = &shared.tls else {
        answer(&mut stream, b'N').await?;
        return Some(stream);
    };
    answer(&mut stream, b'S').await?;
    match stream {
        Stream::Plain(socket) => {
            let stream = tls.acceptor.accept(socket).await.ok()?;
            Some(Stream::Tls(Box::new(stream)))
        }
        Stream::Tls(_) => None,
    }
}
