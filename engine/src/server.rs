//! Starting and stopping: one shard per core, all listening on one port.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, mpsc},
    thread::JoinHandle,
    time::Duration,
};

pub use crate::reactor::{
    program::{ProgramMemory, keep_program_in_memory},
    system::{Waker, allowed_cpus, keep_off, work_in_the_background},
};
pub use crate::shard::ShardMetrics;
use crate::{
    admission::AdmissionConfig,
    clock::{Clock, Origin},
    limits::{self, Limits},
    reactor::{Reactor, system},
    service::Service,
    shard::{Control, Shard, ShardParts},
};

/// What an operator sets.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    pub listen: SocketAddr,
    /// CPUs to serve on, one shard each.
    pub cores: Vec<usize>,
    /// What the process may run on, for whoever named a core that cannot be used. As it was before any thread was kept off a core:
    /// see [`keep_off`].
    pub allowed: Vec<usize>,
    /// How long a shard looks for work before it sleeps in the kernel; zero sleeps at once.
    pub spin: Duration,
    pub limits: Limits,
    pub admission: AdmissionConfig,
    /// Open connections per shard.
    pub connections_per_core: usize,
    /// One per core, in the order of `cores`.
    pub metrics: Vec<Arc<ShardMetrics>>,
    pub origin: Origin,
}

/// Why a server cannot start; each message names the likely cause.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The address cannot be listened on.
    Listen { address: SocketAddr, source: io::Error },
    /// A core cannot be used.
    Core { core: usize, allowed: Vec<usize>, source: io::Error },
    /// A ring cannot be made.
    Ring { source: io::Error },
    /// A thread cannot be made, or ended before it served.
    Thread { source: io::Error },
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Listen { address, source } if source.kind() == io::ErrorKind::AddrInUse => {
                write!(f, "{address} is in use by another process; stop it or choose another address with --listen")
            }
            Self::Listen { address, source } if source.kind() == io::ErrorKind::PermissionDenied => {
                write!(f, "not allowed to listen on {address} ({source}); ports below 1024 need a privilege")
            }
            Self::Listen { address, source } => write!(f, "cannot listen on {address}: {source}"),
            Self::Core { core, allowed, source } => {
                write!(f, "cannot run on core {core} ({source}); allowed here: {allowed:?}")
            }
            Self::Ring { source } => match source.raw_os_error() {
                Some(libc::ENOSYS | libc::EINVAL) => {
                    write!(f, "this kernel lacks what the ring needs ({source}); Linux 6.1 or newer is required")
                }
                Some(libc::EPERM | libc::EACCES) => write!(
                    f,
                    "io_uring is forbidden here ({source}); look at the sysctl kernel.io_uring_disabled (must be 0) and at \
                     seccomp profiles of containers"
                ),
                Some(libc::ENOMEM) => write!(
                    f,
                    "no memory for the ring ({source}); raise RLIMIT_MEMLOCK (ulimit -l, LimitMEMLOCK= in systemd) or the \
                     memory limit of the control group"
                ),
                _ => write!(f, "cannot make the ring: {source}"),
            },
            Self::Thread { source } => write!(f, "cannot start a serving thread: {source}"),
        }
    }
}

/// Without a source: each message tells its cause, and a chain would tell it twice.
impl std::error::Error for StartError {}

#[derive(Debug)]
struct Running {
    control: Arc<Control>,
    waker: Waker,
    thread: JoinHandle<io::Result<()>>,
}

/// A server that is answering.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    clock: Clock,
    shards: Vec<Running>,
}

/// Listens, starts a shard on every core and returns when all of them serve. `service` is called once per shard, on the
/// calling thread, with the shard's number (not its CPU) and what wakes it; what it gives is called on the shard's own thread, and
/// makes a service that need not be able to leave it.
pub fn start<S, M>(config: &ServerConfig, mut service: impl FnMut(usize, Waker) -> M) -> Result<Server, StartError>
where
    S: Service + 'static,
    M: FnOnce() -> S + Send + 'static,
{
    let listeners = listen(config)?;
    let refused = |source| StartError::Listen { address: config.listen, source };
    let address = listeners.first().map(system::local_address).transpose().map_err(refused)?.unwrap_or(config.listen);
    let clock = Clock::new(config.origin);
    let mut shards = Vec::new();
    for (number, ((listener, core), metrics)) in
        listeners.into_iter().zip(&config.cores).zip(&config.metrics).enumerate()
    {
        let control = Arc::new(Control::new());
        let (waker, wake_fd) = Waker::new().map_err(|source| StartError::Thread { source })?;
        let make = service(number, waker.clone());
        let parts = ShardParts {
            listener,
            wake_fd,
            clock,
            limits: config.limits,
            admission: config.admission,
            connections_max: config.connections_per_core,
            spin: config.spin,
            control: Arc::clone(&control),
            metrics: Arc::clone(metrics),
        };
        let (core, allowed) = (*core, config.allowed.clone());
        let (started, starting) = mpsc::sync_channel(1);
        let thread = std::thread::Builder::new()
            .name(format!("shard-{number}"))
            .spawn(move || {
                system::fire_timers_on_time();
                let shard = system::pin_to(core)
                    .map_err(|source| StartError::Core { core, allowed, source })
                    .and_then(|()| Shard::new(parts, make()).map_err(|source| StartError::Ring { source }));
                match shard {
                    Ok(shard) => {
                        let _ = started.send(Ok(())); // the starter waits for us; it cannot have gone
                        shard.run()
                    }
                    Err(e) => {
                        let _ = started.send(Err(e));
                        Ok(())
                    }
                }
            })
            .map_err(|source| StartError::Thread { source })?;
        shards.push(Running { control, waker, thread });
        let gone = || StartError::Thread { source: io::Error::other("it ended before it served") };
        if let Err(e) = starting.recv().map_err(|_| gone()).flatten() {
            let server = Server { address, clock, shards };
            server.drain(Duration::ZERO);
            return Err(e);
        }
    }
    Ok(Server { address, clock, shards })
}

/// Whether a ring of our kind can be made here: what would otherwise be found out only after a long start.
pub fn probe() -> Result<(), StartError> {
    let (_, wake_fd) = Waker::new().map_err(|source| StartError::Thread { source })?;
    Reactor::new(0, limits::RECEIVE_BUFFERS, wake_fd).map(drop).map_err(|source| StartError::Ring { source })
}

/// One listener per core. The first look is without `SO_REUSEPORT`: with it, another Gannet on the same port would be joined
/// in silence instead of being reported.
fn listen(config: &ServerConfig) -> Result<Vec<std::os::fd::OwnedFd>, StartError> {
    let refused = |source| StartError::Listen { address: config.listen, source };
    let stall_ms = u32::try_from(config.limits.write_stall_max.as_millis()).unwrap_or(u32::MAX);
    let mut address = config.listen;
    let probe = system::listen(address, false, stall_ms).map_err(refused)?;
    address.set_port(system::local_address(&probe).map_err(refused)?.port());
    drop(probe);
    (0..config.cores.len()).map(|_| system::listen(address, true, stall_ms).map_err(refused)).collect()
}

impl Server {
    /// Where it listens; the port is the real one if 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting; every further answer closes its connection. Shards end when their last connection goes, at the
    /// latest after `within`.
    pub fn drain(&self, within: Duration) {
        let by_ns = self.clock.now().monotonic_ns + u64::try_from(within.as_nanos()).unwrap_or(u64::MAX / 2);
        for shard in &self.shards {
            shard.control.drain_by(by_ns);
            shard.waker.wake();
        }
    }

    /// Whether any shard has ended: after a drain, or because its ring failed.
    pub fn is_finished(&self) -> bool {
        self.shards.iter().any(|shard| shard.thread.is_finished())
    }

    /// Waits until every shard has ended; the first failure, if any.
    pub fn join(self) -> io::Result<()> {
        let mut result = Ok(());
        for shard in self.shards {
            let ended = shard.thread.join().unwrap_or_else(|_| Err(io::Error::other("a serving thread panicked")));
            result = result.and(ended);
        }
        result
    }
}

/// How many connections each of `cores` shards may hold, given the process's limit of open files: what is left after 512
/// for everything else, shared out, and at most [`limits::CONNECTIONS_PER_CORE_MAX`].
pub fn connections_per_core(open_files: u64, cores: usize) -> usize {
    let usable = usize::try_from(open_files.saturating_sub(512)).unwrap_or(usize::MAX);
    (usable / cores.max(1)).clamp(16, limits::CONNECTIONS_PER_CORE_MAX)
}
